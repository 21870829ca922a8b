"""Upstreams fail in every way: before the first byte another is tried, after it the stream tells."""

import pytest
from tests.fakes.bodies import (
    BAD_REQUEST,
    OVERLOADED,
    chat_body,
    chunk,
    message,
    message_start,
    messages_body,
    text_delta,
)
from tests.fakes.exchange_parts import JSON_HEAD, ScriptedReply
from tests.fakes.world import answer, charged, in_world, refusal

from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.errors import ErrorCode
from tollbridge.routing.plan import ATTEMPTS_MAX

FAILURES = [
    UpstreamError("refused", sent=False),
    UpstreamTimeoutError("did not answer", sent=True),
    refusal(529, OVERLOADED),
    refusal(500, b"<html>oops"),
    refusal(429, b"x" * 100_000, **{"retry-after": "7"}),
    ScriptedReply([UpstreamError("reset", sent=True)], 503, JSON_HEAD),
    ScriptedReply([UpstreamError("reset", sent=True)]),
    ScriptedReply([]),
    ScriptedReply([message_start()[:50]]),
    ScriptedReply([b"event: error\ndata: " + OVERLOADED + b"\n\n"]),
    ScriptedReply([OVERLOADED], 200, JSON_HEAD),
]
CODES = [
    ErrorCode.UPSTREAM_UNREACHABLE,
    ErrorCode.UPSTREAM_TIMEOUT,
    ErrorCode.UPSTREAM_OVERLOADED,
    ErrorCode.UPSTREAM_FAILED,
    ErrorCode.UPSTREAM_RATE_LIMITED,
    ErrorCode.UPSTREAM_OVERLOADED,
    ErrorCode.UPSTREAM_FAILED,
    ErrorCode.UPSTREAM_TRUNCATED,
    ErrorCode.UPSTREAM_TRUNCATED,
    ErrorCode.UPSTREAM_OVERLOADED,
    ErrorCode.UPSTREAM_OVERLOADED,
]
SENT = [3, 1, 3, 3, 1, 3, 1, 1, 1, 3, 3]
"""How often a model with one target is asked: not while a generation may be under way, and not
where the target asks for more patience than there is."""


def again(failure):
    if isinstance(failure, ScriptedReply):
        return ScriptedReply(failure._steps, failure.status, failure.headers)
    return failure


@pytest.mark.parametrize("index", range(len(FAILURES)))
def test_upstream_failed_before_the_first_byte(tmp_path, index):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [again(FAILURES[index]) for _ in range(ATTEMPTS_MAX)]
        client, error = await world.ask(messages_body("single"))
        assert client.status is None
        assert error.code is CODES[index]
        assert len(world.servers["one"].calls) == SENT[index]
        assert await charged(world) == ("failed_early", "void", 0)

    scenario(tmp_path)


@pytest.mark.parametrize("index", range(len(FAILURES)))
def test_another_upstream_is_tried_before_the_first_byte(tmp_path, index):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [again(FAILURES[index])]
        world.servers["two"].answers = [answer("Hello")]
        client, error = await world.ask(messages_body())
        assert error is None
        assert client.headers["x-tollbridge-upstream"] == "two"
        assert b"error" not in client.body
        assert await charged(world) == ("finished", "reported", 32)
        assert world.usage()[0]["upstream"] == "two"

    scenario(tmp_path)


@in_world()
async def test_a_refusal_of_the_request_itself_is_not_taken_elsewhere(world):
    world.servers["one"].answers = [refusal(400, BAD_REQUEST)]
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.UPSTREAM_REFUSED
    assert world.servers["two"].calls == []
    assert await charged(world) == ("failed_early", "void", 0)


@in_world()
async def test_one_shot_answers_fall_back_too(world):
    world.servers["one"].answers = [ScriptedReply([b"not json"], 200, JSON_HEAD)]
    world.servers["two"].answers = [ScriptedReply([message()], 200, JSON_HEAD)]
    client, _ = await world.ask(messages_body(stream=False))
    assert client.body == message()
    assert await charged(world) == ("finished", "reported", 32)


@pytest.mark.parametrize(
    "end",
    [
        [UpstreamError("reset", sent=True)],
        [UpstreamTimeoutError("was silent", sent=True)],
        [],
        [b"event: error\ndata: " + OVERLOADED + b"\n\n"],
        [b"event: content_block_delta\ndata: {"],
    ],
)
def test_upstream_failed_mid_stream(tmp_path, end):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [
            ScriptedReply([message_start(), text_delta("x" * 40), *end])
        ]
        client, error = await world.ask(messages_body())
        assert error is None, "the head is out, so the error travels in the stream"
        assert client.finished
        assert client.body.count(b"event: error") == 1
        assert b"message_stop" not in client.body
        assert world.servers["two"].calls == []
        assert await charged(world) == ("failed_midway", "counted", 25 + 10)

    scenario(tmp_path)


@in_world()
async def test_a_chat_client_is_told_in_its_own_words(world):
    world.servers["talk"].answers = [
        ScriptedReply([chunk("Hello"), UpstreamError("reset", sent=True)])
    ]
    client, _ = await world.ask(chat_body(), "chat")
    assert client.body.count(b'"error"') == 1
    assert b"[DONE]" not in client.body
    assert client.finished


@in_world()
async def test_upstream_failed_after_its_start_but_before_any_word(world):
    """Nothing of an answer was delivered, so nothing is charged."""
    world.servers["one"].answers = [
        ScriptedReply([message_start(), UpstreamError("reset", sent=True)])
    ]
    client, error = await world.ask(messages_body())
    assert error is None
    assert client.body.count(b"event: error") == 1
    assert await charged(world) == ("failed_early", "void", 0)
