"""The data plane as a client meets it."""

import asyncio
import gc
import json
from typing import Any

import pytest
from tests.fakes.bodies import message_start, text_delta
from tests.fakes.exchange_parts import JSON_HEAD, ScriptedReply, ScriptedServer
from tests.fakes.wire_client import Answer
from tests.unit.server.conftest import (
    BASE,
    CHAT,
    COUNT,
    ENV,
    HELLO,
    MESSAGES,
    OTHER,
    Play,
    World,
    check_ids,
    check_refusal,
    prompt,
)

from tollbridge.app.exchange import Exchange
from tollbridge.app.ports import StoreUnavailableError, UpstreamError
from tollbridge.server.inbound import Request


def events(answer: Answer) -> list[dict[str, Any]]:
    lines = answer.body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data:")]


@pytest.mark.parametrize("path", [MESSAGES, "/v1/messages", "/messages", f"{BASE}/messages/"])
def test_a_message_is_answered_and_charged(play: Play, path: str):
    async def scenario(world: World) -> None:
        answer = await world.ask(path, prompt())
        assert answer.status == 200, answer.body
        check_ids(answer)
        message = answer.json()
        assert message["content"][0]["text"]
        assert message["model"] == "demo"
        charge = int(answer.headers["x-tollbridge-charge"])
        assert charge > 0
        (pack,) = await world.store.packs(ENV)
        assert (pack.spent, pack.held) == (charge, 0)

    world = play(scenario)
    (line,) = world.logged()
    assert (line["event"], line["status"], line["outcome"]) == ("exchange", 200, "finished")


def test_a_stream_is_events_with_the_headers_that_proxies_need(play: Play):
    async def scenario(world: World) -> None:
        answer = await world.ask(MESSAGES, prompt(stream=True), query="beta=true")
        assert answer.status == 200
        check_ids(answer)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert [event["type"] for event in events(answer)][:: len(events(answer)) - 1] == [
            "message_start",
            "message_stop",
        ]

    play(scenario)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (prompt(max_tokens=None), "max_tokens: this field is required", "AI_MODEL_PARAM_REQUIRED"),
        (prompt(model=None), "model: this field is required", "AI_MODEL_PARAM_REQUIRED"),
        (prompt(messages=None), "messages: this field is required", "AI_MODEL_PARAM_REQUIRED"),
        (prompt(messages=[]), "messages: must not be empty", "AI_MODEL_PARAM_INVALID"),
        (prompt(temperature=2), "temperature: must be at most 1, got 2", "AI_MODEL_PARAM_INVALID"),
        (
            prompt(temperature=-1),
            "temperature: must be at least 0, got -1",
            "AI_MODEL_PARAM_INVALID",
        ),
        (prompt(top_p=1.5), "top_p: must be at most 1, got 1.5", "AI_MODEL_PARAM_INVALID"),
        (prompt(top_p=-0.5), "top_p: must be at least 0, got -0.5", "AI_MODEL_PARAM_INVALID"),
        (prompt(max_tokens=-1), "max_tokens: must be at least 0, got -1", "AI_MODEL_PARAM_INVALID"),
        (
            prompt(stream="yes"),
            "stream: must be true or false, got a string",
            "AI_MODEL_PARAM_INVALID",
        ),
        (b"hello", "The request body is not valid JSON", "AI_MODEL_PARAM_INVALID"),
        (b"[]", "The request body must be a JSON object, got a list.", "AI_MODEL_PARAM_INVALID"),
        (b'{"messages": "\xff"}', "The request body is not UTF-8", "AI_MODEL_PARAM_INVALID"),
    ],
)
def test_bad_messages_are_told_in_plain_words(play: Play, body: object, message: str, code: str):
    async def scenario(world: World) -> None:
        answer = await world.ask(MESSAGES, body)
        assert check_refusal(answer, 400, code, dialect="messages").startswith(message)
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert answer.headers["x-should-retry"] == "false"
        assert (await world.store.packs(ENV))[0].held == 0

    play(scenario)


def test_bad_chat_requests_name_the_member_in_param(play: Play):
    async def scenario(world: World) -> None:
        for body, field in (
            ({"model": "demo"}, "messages"),
            ({"model": "demo", "messages": []}, "messages"),
            ({"model": "demo", "messages": HELLO, "temperature": 3}, "temperature"),
            ({"model": "demo", "messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ):
            answer = await world.ask(CHAT, body)
            assert answer.status == 400
            assert answer.json()["error"]["param"] == field
            assert answer.json()["message"].startswith(f"{field}: ")
        answer = await world.ask(CHAT, b"")
        assert answer.status == 405
        answer = await world.ask(CHAT, b"", method="POST")
        message = check_refusal(answer, 400, "AI_MODEL_PARAM_INVALID", dialect="chat")
        assert message == "The request body is empty; send a JSON object."

    play(scenario)


@pytest.mark.parametrize(("path", "dialect"), [(MESSAGES, "messages"), (CHAT, "chat")])
def test_an_exhausted_pack_is_429_and_final(play: Play, path: str, dialect: str):
    async def scenario(world: World) -> None:
        world.key = await world.add_key(OTHER)  # it has no pack
        answer = await world.ask(path, prompt())
        message = check_refusal(answer, 429, "EXCEED_TOKEN_QUOTA_LIMIT", dialect=dialect)
        assert "Grant a pack" in message
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers

    play(scenario)


def test_a_body_too_large_is_413_while_it_is_read(play: Play):
    async def scenario(world: World) -> None:
        answer = await world.ask(MESSAGES, [b"x" * 60_000] * 3)
        message = check_refusal(answer, 413, "REQUEST_TOO_LARGE", dialect="messages")
        assert "100000 bytes" in message
        assert answer.json()["error"]["type"] == "request_too_large"
        whole = json.dumps(prompt()).encode()
        for parts in ([whole], [whole[:9], b"", whole[9:]], [*[bytes([b]) for b in whole], b""]):
            assert (await world.ask(MESSAGES, parts)).status == 200

    play(scenario)


def test_a_client_that_leaves_in_its_body_is_not_answered(play: Play):
    async def scenario(world: World) -> None:
        answer = await world.ask(MESSAGES, b'{"model":', leaves=True)
        assert answer.status == 0
        answer = await world.ask(MESSAGES, b'{"model":', key="tb_nonsense", leaves=True)
        assert answer.status == 0

    play(scenario)


def test_routes_and_methods_that_are_not(play: Play):
    async def scenario(world: World) -> None:
        answer = await world.ask("/v1/nothing\udcff", prompt())
        message = check_refusal(answer, 404, "RESOURCE_NOT_FOUND", dialect="chat")
        assert BASE in message
        for name in ("\udcff", "a\0b", "x" * 1_000):
            answer = await world.ask(f"/v1/ai/{name}/v1/messages", prompt())
            check_refusal(answer, 404, "AI_MODEL_NOT_FOUND", dialect="messages")
        answer = await world.ask("/v1/nothing", headers={"anthropic-version": "2023-06-01"})
        check_refusal(answer, 404, "RESOURCE_NOT_FOUND", dialect="messages")
        answer = await world.ask(MESSAGES, method="GET")
        check_refusal(answer, 405, "METHOD_NOT_ALLOWED", dialect="messages")
        assert answer.headers["allow"] == "POST, OPTIONS"
        answer = await world.ask("/models", prompt())
        check_refusal(answer, 405, "METHOD_NOT_ALLOWED", dialect="chat")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"

    play(scenario)


@pytest.mark.parametrize("path", ["/api/hello", "/healthz", "/readyz"])
def test_probes_need_no_key(play: Play, path: str):
    async def scenario(world: World) -> None:
        answer = await world.ask(path, key="")
        assert (answer.status, list(answer.json())) == (200, ["status"])
        check_ids(answer)
        head = await world.ask(path, method="HEAD", key="")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]

    play(scenario)


def test_head_refusals_have_no_body_either(play: Play):
    async def scenario(world: World) -> None:
        answer = await world.ask("/nothing", method="HEAD")
        assert (answer.status, answer.body) == (404, b"")

    play(scenario)


def test_not_ready_while_the_database_is_away(play: Play, monkeypatch: pytest.MonkeyPatch):
    async def scenario(world: World) -> None:
        async def away(*_: object) -> None:
            raise StoreUnavailableError("disk of /secret/path is full")

        monkeypatch.setattr(world.store, "generation", away)
        answer = await world.ask("/readyz", key="")
        message = check_refusal(answer, 503, "LEDGER_UNAVAILABLE", dialect="chat")
        assert "secret" not in message
        assert (await world.ask("/healthz", key="")).status == 200

    play(scenario)


def test_tokens_are_counted_for_nothing(play: Play):
    async def scenario(world: World) -> None:
        answer = await world.ask(COUNT, prompt(max_tokens=None), query="beta=true")
        assert answer.status == 200
        assert answer.json()["input_tokens"] > 0
        assert (await world.store.packs(ENV))[0].spent == 0
        answer = await world.ask(COUNT, {"model": "demo"})
        message = check_refusal(answer, 400, "AI_MODEL_PARAM_REQUIRED", dialect="messages")
        assert message == "messages: this field is required"

    play(scenario)


def test_headers_that_stand_twice(play: Play):
    async def scenario(world: World) -> None:
        lines = [
            ("Authorization", f"Bearer {world.key}"),
            ("anthropic-beta", "one"),
            ("Anthropic-Beta", "two"),
            ("x-request-id", "mine"),
            ("x-request-id", "again"),
        ]
        body = json.dumps(prompt()).encode()
        answer = await world.call("POST", MESSAGES, body, headers=lines)
        assert answer.status == 200
        assert check_ids(answer) != "mine"
        lines.append(("Authorization", "Bearer tb_nonsense"))
        answer = await world.call("POST", MESSAGES, body, headers=lines)
        assert answer.status == 401

    play(scenario)


def test_a_bug_is_answered_and_logged_without_its_secrets(
    play: Play, monkeypatch: pytest.MonkeyPatch
):
    async def scenario(world: World) -> None:
        async def broken(*_: object) -> None:
            raise ZeroDivisionError("of the gateway")

        monkeypatch.setattr(world.store, "find_key", broken)
        answer = await world.ask(MESSAGES, prompt())
        message = check_refusal(answer, 500, "INTERNAL_ERROR", dialect="messages")
        assert check_ids(answer) in message
        assert "ZeroDivision" not in message

    (line,) = play(scenario).logged()
    assert line["event"] == "trouble"
    assert "ZeroDivisionError" in line["error"]


def test_request_ids_never_repeat(play: Play):
    async def scenario(world: World) -> None:
        answers = await asyncio.gather(*(world.ask("/healthz") for _ in range(50)))
        assert len({check_ids(answer) for answer in answers}) == 50

    play(scenario)


def test_a_chat_client_is_answered_by_a_model_that_speaks_messages(play: Play):
    async def scenario(world: World) -> None:
        body = {"model": "vendor/chat 工", "messages": HELLO, "seed": 7, "ключ\r\nx: y": 1}
        for path in (CHAT, "/chat/completions", "/v1/chat/completions"):
            answer = await world.ask(path, body)
            assert answer.status == 200, answer.body
            check_ids(answer)
            assert answer.json()["choices"][0]["message"]["content"]
            assert answer.json()["model"] == "vendor/chat 工"
            assert answer.json()["usage"]["completion_tokens"] > 0
            assert "seed" in answer.headers["x-tollbridge-dropped"]
        answer = await world.ask(CHAT, {**body, "stream": True})
        assert answer.status == 200
        assert answer.body.endswith(b"data: [DONE]\n\n")

    play(scenario)


OVERLOADED = "This gateway is overloaded: it has 1 requests under way and no room for more to wait"


def test_beyond_its_places_a_worker_refuses_before_the_body_is_read(play: Play):
    async def scenario(world: World) -> None:
        intake = world.application.intake
        intake.limits = intake.limits._replace(requests_max=1, queue_max=0)
        assert intake.take()
        for path, status, dialect in (
            (MESSAGES, 529, "messages"), (COUNT, 529, "messages"), (CHAT, 503, "chat"),
        ):  # fmt: skip
            # What is no JSON, and a key that is none, are not looked at.
            answer = await world.ask(path, b"not looked at", key="none")
            told = check_refusal(answer, status, "GATEWAY_OVERLOADED", dialect=dialect)
            assert told.startswith(OVERLOADED)
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["x-should-retry"] == "true"
        assert (await world.ask("/healthz")).status == 200
        assert (await world.ask("/readyz")).status == 200
        assert (await world.ask(f"{BASE}/v1/models")).status == 200
        intake.leave()
        assert (await world.ask(MESSAGES, prompt())).status == 200
        assert intake.inside == 0
        (pack,) = await world.store.packs(ENV)
        assert pack.held == 0

    world = play(scenario)
    assert [line["error"] for line in world.logged() if line["event"] == "refused"] == [
        "GATEWAY_OVERLOADED"
    ] * 3


def test_places_come_back_however_a_request_ends(play: Play):
    async def scenario(world: World) -> None:
        for body in (b"no JSON", prompt(), prompt(model="none"), prompt(stream=True)):
            await world.ask(MESSAGES, body)
            await world.ask(COUNT, body)
        assert world.application.intake.inside == 0

    play(scenario)


def test_a_worker_that_is_about_to_stop_says_so_and_still_serves(play: Play):
    async def scenario(world: World) -> None:
        world.application.leaving = True
        check_refusal(await world.ask("/readyz"), 503, "GATEWAY_STOPPING", dialect="chat")
        assert (await world.ask("/healthz")).status == 200
        assert (await world.ask(MESSAGES, prompt())).status == 200

    play(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_of_an_exchange_waits_for_the_collector(play: Play, stream: bool):
    # What is in a cycle keeps its body, which may be long, until the collector comes round.
    async def scenario(world: World) -> None:
        await world.ask(MESSAGES, prompt(stream=stream))
        gc.collect()
        gc.disable()
        try:
            for path, body in ((MESSAGES, prompt(stream=stream)), (CHAT, prompt(stream=stream))):
                assert (await world.ask(path, body)).status == 200
            await asyncio.sleep(0)
            left = [thing for thing in gc.get_objects() if isinstance(thing, Exchange | Request)]
        finally:
            gc.enable()
        assert left == []

    play(scenario)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_nothing_of_a_failure_waits_for_the_collector(play: Play, stream: bool, begun: bool):
    async def scenario(world: World) -> None:
        first = [message_start(), text_delta("so far")] if stream else [b"{"]
        broken = UpstreamError("the connection broke", sent=True)
        server = world.gateway.servers["demo"] = ScriptedServer()
        head = None if stream else JSON_HEAD
        for _ in range(3):
            server.answers.append(ScriptedReply([*first, broken], 200, head) if begun else broken)
        gc.collect()
        gc.disable()
        try:
            answer = await world.ask(MESSAGES, prompt(stream=stream))
            assert answer.status == (200 if stream and begun else 502)
            await asyncio.sleep(0)
            left = [thing for thing in gc.get_objects() if isinstance(thing, Exchange | Request)]
        finally:
            gc.enable()
        assert left == []

    play(scenario)
