"""However an upstream fails, the client has a true error in its own dialect, and pays for nothing
that was not delivered. One table, all four pairs of protocols."""

import json

import pytest
from tests.fakes.bodies import chat_body, chunk, event, message, message_start, messages_body
from tests.fakes.bodies import text_delta as messages_text
from tests.fakes.exchange_parts import JSON_HEAD, STREAM_HEAD, ScriptedReply
from tests.fakes.world import ENV, in_world

from tollbridge.app.ports import UpstreamError
from tollbridge.errors import ErrorCode
from tollbridge.routing.plan import ATTEMPTS_MAX
from tollbridge.translate.failures import error_body

PAIRS = [("messages", "single"), ("messages", "c"), ("chat", "single"), ("chat", "c")]
"""The client's protocol, and a model whose upstream speaks Messages (`single`) or Chat (`c`)."""
SERVERS = {"single": "one", "c": "talk"}
HTML_HEAD = {"content-type": "text/html; charset=utf-8"}
HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head></html>"
COMPLETION = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 25, "completion_tokens": 7, "total_tokens": 32},
    }
).encode()
WHOLE = {"single": message(), "c": COMPLETION}
BEGUN = {"single": message_start() + messages_text("x" * 40), "c": chunk("x" * 40)}
OVERLOADED = {
    "single": b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
    "c": b'{"error":{"message":"busy","type":"server_error","code":"503"}}',
}
ERROR_EVENT = {
    "single": event("error", error={"type": "overloaded_error", "message": "busy"}),
    "c": b"data: " + OVERLOADED["c"] + b"\n\n",
}
STREAMED = {
    "single": message_start()
    + event("content_block_stop", index=0)
    + event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
    + event("message_stop"),
    "c": chunk("Hi") + chunk(finish="stop") + b"data: [DONE]\n\n",
}

# Name: status, headers and body by model, and what the client is told.
WHATEVER = {
    "html instead of an answer": (200, HTML_HEAD, [HTML], ErrorCode.UPSTREAM_FAILED),
    "html with a status": (502, HTML_HEAD, [HTML], ErrorCode.UPSTREAM_FAILED),
    "html of a proxy that is overloaded": (503, HTML_HEAD, [HTML], ErrorCode.UPSTREAM_OVERLOADED),
    "a status without a body": (500, {}, [], ErrorCode.UPSTREAM_FAILED),
    "a body that is no JSON": (400, JSON_HEAD, [b"{bad"], ErrorCode.UPSTREAM_REFUSED),
    "an error inside 200": (200, JSON_HEAD, [OVERLOADED], ErrorCode.UPSTREAM_OVERLOADED),
    "an answer that is no JSON": (200, JSON_HEAD, [b"{bad"], ErrorCode.UPSTREAM_FAILED),
    "JSON of another kind": (200, JSON_HEAD, [b'{"hello":1}'], ErrorCode.UPSTREAM_FAILED),
    "no object at all": (200, JSON_HEAD, [b"[1,2]"], ErrorCode.UPSTREAM_FAILED),
    "null": (200, JSON_HEAD, [b"null"], ErrorCode.UPSTREAM_FAILED),
}
ONE_SHOT = {
    **WHATEVER,
    "nothing": (200, JSON_HEAD, [], ErrorCode.UPSTREAM_FAILED),
    "cut": (
        200,
        JSON_HEAD,
        [b'{"id":', UpstreamError("reset", sent=True)],
        ErrorCode.UPSTREAM_FAILED,
    ),
    "half an answer": (200, JSON_HEAD, [b'{"id":"x","con'], ErrorCode.UPSTREAM_FAILED),
    "a stream": (200, STREAM_HEAD, [STREAMED], ErrorCode.UPSTREAM_FAILED),
}
STREAM = {
    **WHATEVER,
    "an answer that is whole": (200, JSON_HEAD, [WHOLE], ErrorCode.UPSTREAM_FAILED),
    "nothing": (200, STREAM_HEAD, [], ErrorCode.UPSTREAM_TRUNCATED),
    "cut before the first event": (200, STREAM_HEAD, [b"da"], ErrorCode.UPSTREAM_TRUNCATED),
    "an error event first": (200, STREAM_HEAD, [ERROR_EVENT], ErrorCode.UPSTREAM_OVERLOADED),
}
MIDWAY = {
    "cut": ([], ErrorCode.UPSTREAM_TRUNCATED),
    "reset": ([UpstreamError("reset", sent=True)], ErrorCode.UPSTREAM_FAILED),
    "an error event": ([ERROR_EVENT], ErrorCode.UPSTREAM_OVERLOADED),
}


def scripted(model: str, status: int, headers: dict, steps: list) -> ScriptedReply:
    chosen = [step[model] if isinstance(step, dict) else step for step in steps]
    return ScriptedReply(chosen, status, headers)


def body_of(protocol: str, model: str, *, stream: bool) -> bytes:
    return (messages_body if protocol == "messages" else chat_body)(model, stream=stream)


def check_told(protocol: str, told: bytes) -> None:
    """An official client understands it, and it shows nothing of the upstream's pages."""
    error = json.loads(told)["error"]
    assert error["type"]
    assert error["message"]
    assert b"<" not in told
    if protocol == "chat":
        assert {"param", "code"} <= set(error)


@pytest.mark.parametrize(("protocol", "model"), PAIRS)
@pytest.mark.parametrize(
    ("stream", "name"), [*((False, name) for name in ONE_SHOT), *((True, name) for name in STREAM)]
)
def test_failed_before_the_first_word(tmp_path, protocol, model, stream, name):
    status, headers, steps, code = (STREAM if stream else ONE_SHOT)[name]

    @in_world()
    async def scenario(world):
        answers = [scripted(model, status, headers, steps) for _ in range(ATTEMPTS_MAX)]
        world.servers[SERVERS[model]].answers = answers
        client, error = await world.ask(body_of(protocol, model, stream=stream), protocol)
        assert client.status is None
        assert error.code is code
        check_told(protocol, error_body(protocol, error, "req_1"))
        (row,) = world.usage()
        assert (row["outcome"], row["provenance"], row["amount"]) == ("failed_early", "void", 0)

    scenario(tmp_path)


@pytest.mark.parametrize(("protocol", "model"), PAIRS)
@pytest.mark.parametrize("name", MIDWAY)
def test_failed_midway(tmp_path, protocol, model, name):
    steps, code = MIDWAY[name]

    @in_world()
    async def scenario(world):
        begun = scripted(model, 200, STREAM_HEAD, [BEGUN[model], *steps])
        world.servers[SERVERS[model]].answers = [begun]
        client, error = await world.ask(body_of(protocol, model, stream=True), protocol)
        assert error is None
        assert client.finished
        *_, last = client.body.rstrip().split(b"\n\n")
        if protocol == "messages":
            assert last.startswith(b"event: error\n")
            assert b"message_stop" not in client.body
        else:
            assert b"[DONE]" not in client.body
        check_told(protocol, last.partition(b"data: ")[2])
        assert world.observer.ended[0][2] == code.name
        (row,) = world.usage()
        assert (row["outcome"], row["provenance"]) == ("failed_midway", "counted")

    scenario(tmp_path)


GATHERED = {
    **STREAM,
    **{
        f"{name} midway": (200, STREAM_HEAD, [BEGUN, *steps], code)
        for name, (steps, code) in MIDWAY.items()
    },
}


@pytest.mark.parametrize("protocol", ["messages", "chat"])
@pytest.mark.parametrize("name", GATHERED)
def test_failed_while_one_answer_was_gathered_from_a_stream(tmp_path, protocol, name):
    status, headers, steps, code = GATHERED[name]

    @in_world()
    async def scenario(world):
        await world.store.switch(ENV, ["local"], on=True)
        server = world.servers["local"]
        server.answers = [scripted("c", status, headers, steps) for _ in range(ATTEMPTS_MAX)]
        client, error = await world.ask(body_of(protocol, "local", stream=False), protocol)
        assert json.loads(server.calls[0].body)["stream"] is True
        assert client.status is None
        assert error.code is code
        check_told(protocol, error_body(protocol, error, "req_1"))
        (row,) = world.usage()
        assert (row["outcome"], row["provenance"], row["amount"]) == ("failed_early", "void", 0)

    scenario(tmp_path)
