"""The client's side of an answer: one head, whole events, one end."""

import asyncio

import pytest
from tests.fakes.exchange_parts import (
    HANG,
    MemorySpool,
    RecordingClient,
    RecordingObserver,
    ScriptedReply,
)

from tollbridge.app import relay as module
from tollbridge.app.answer_head import STREAM_HEAD
from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.app.pulse import Pulse
from tollbridge.app.relay import (
    HEARTBEATS,
    Relay,
    broken,
    from_upstream,
    linger,
    read_error,
    read_whole,
)
from tollbridge.app.settlement import Settler
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.usage_tap import UsageTap
from tollbridge.units import ERROR_BODY_BYTES_MAX, Millis
from tollbridge.wire.sse import SSEDecoder

BROKEN = GatewayError(ErrorCode.UPSTREAM_OVERLOADED, "The model's server is overloaded.")


def pulse() -> Pulse:
    """One that never ticks, and so asks no store for anything."""
    observer = RecordingObserver()
    settler = Settler(None, observer, MemorySpool())
    made = Pulse(None, settler, observer, "worker-1", lambda: Millis(70))
    made.tick = 3
    return made


class Stream:
    """Passes bytes; `STOP` finishes it, `FAIL` breaks it, its end without `STOP` is a failure."""

    def __init__(self) -> None:
        self.failure: GatewayError | None = None
        self.finished = False
        self.notable = b""

    def feed(self, data: bytes) -> bytes:
        self.finished = data == b"STOP"
        self.notable = b"" if data.startswith(b"TEXT") else data
        if data == b"FAIL":
            self.failure = BROKEN
        return b"" if data == b"HALF" else data

    def close(self) -> bytes:
        if self.finished:
            return b""
        self.failure = BROKEN
        return b"CUT"


def relay(client, protocol="messages"):
    return Relay(client, pulse(), protocol, "req_1", lambda: [("x-test", "1")])


def streamed(*steps):
    client = RecordingClient()
    relayed = relay(client)
    error = None
    try:
        asyncio.run(relayed.stream(ScriptedReply(steps), Stream()))
    except GatewayError as raised:
        error = raised
    except UpstreamError as raised:
        error = broken(raised)
    return client, relayed, error


def test_one_write_per_read():
    client, relayed, error = streamed(b"a", b"HALF", b"b", b"STOP")
    assert error is None
    assert client.parts == [b"a", b"b", b"STOP"]
    assert client.headers == {"x-test": "1", **dict(STREAM_HEAD)}
    assert (relayed.delivered, relayed.complete, relayed.told, relayed.beat) == (
        True,
        True,
        False,
        3,
    )


def whole_at_once(after):
    client = RecordingClient()
    relayed = relay(client)

    async def scenario():
        await relayed.stream(ScriptedReply([b"STOP"], prompt=True), Stream())
        assert client.parts == []
        assert (relayed.delivered, relayed.delivered_at, relayed.complete) == (True, 70, True)
        after(relayed)

    asyncio.run(scenario())
    assert client.headers == {"x-test": "1", **dict(STREAM_HEAD)}
    return client


def test_an_answer_that_comes_whole_at_once_waits_for_its_end():
    client = whole_at_once(Relay.finish)
    assert (client.parts, client.finished) == ([b"STOP"], True)


def test_an_answer_that_seemed_whole_and_goes_on_leaves_at_once():
    client = whole_at_once(Relay.resume)
    assert (client.parts, client.finished) == ([b"STOP"], False)


def test_what_fails_after_a_whole_answer_is_told_behind_it():
    client = whole_at_once(lambda relayed: relayed.fail(BROKEN))
    assert client.body.startswith(b"STOP" + b"event: error\n")


def test_what_is_only_text_is_not_searched_for_usage():
    client, tap = RecordingClient(), UsageTap()
    told = b'data: {"usage":{"output_tokens":7}}\n'
    steps = [told, b"TEXT\n" + told.replace(b"7", b"9"), b"STOP"]
    asyncio.run(relay(client).stream(ScriptedReply(steps), Stream(), tap))
    assert client.parts == steps
    assert tap.text() == '{"output_tokens":7}'


@pytest.mark.parametrize(
    "steps", [[b"FAIL"], [b"HALF", b"FAIL"], [], [UpstreamError("x", sent=True)]]
)
def test_failed_before_anything_was_delivered(steps):
    client, relayed, error = streamed(*steps)
    assert error is not None
    assert client.status is None
    assert (relayed.delivered, relayed.complete, relayed.told) == (False, False, False)


@pytest.mark.parametrize(("steps", "last"), [([b"a", b"FAIL"], b"FAIL"), ([b"a"], b"CUT")])
def test_a_failure_that_the_stream_has_told(steps, last):
    client, relayed, error = streamed(*steps)
    assert error is BROKEN
    assert client.parts == [b"a", last]
    assert (relayed.complete, relayed.told) == (False, True)


def test_a_failure_that_is_still_to_be_told():
    _, relayed, error = streamed(b"a", UpstreamTimeoutError("was silent", sent=True))
    assert error.code is ErrorCode.UPSTREAM_TIMEOUT
    assert not relayed.told


@pytest.mark.parametrize(
    ("protocol", "mark"), [("messages", b"event: error\n"), ("chat", b"data: {")]
)
def test_an_error_is_told_once_in_the_client_s_words(protocol, mark):
    async def scenario():
        client = RecordingClient()
        relayed = relay(client, protocol)
        relayed.fail(BROKEN)
        relayed.fail(BROKEN)
        assert client.status == 200
        assert len(client.parts) == 1
        assert client.body.startswith(mark)
        assert b"overloaded" in client.body

    asyncio.run(scenario())


def beats(prepare):
    async def scenario():
        client = RecordingClient()
        relayed = relay(client)
        await prepare(client, relayed)
        relayed.keep_alive()
        return client.body.count(b"ping\n")

    return asyncio.run(scenario())


def test_a_heartbeat_is_a_ping_or_a_comment():
    (ping,) = SSEDecoder().feed(HEARTBEATS["messages"])
    assert (ping.event, ping.data) == ("ping", b'{"type": "ping"}')
    assert SSEDecoder().feed(HEARTBEATS["chat"]) == []
    assert HEARTBEATS["chat"].startswith(b":")


def test_a_heartbeat():
    async def nothing(client, relayed):
        return None

    assert beats(nothing) == 1


def test_no_heartbeat_to_a_client_that_is_slow():
    async def slow(client, relayed):
        relayed.write(b"a")
        client.open.clear()

    assert beats(slow) == 0


def test_no_heartbeat_after_the_end():
    async def ended(client, relayed):
        await relayed.stream(ScriptedReply([b"STOP"]), Stream())

    assert beats(ended) == 0


def test_no_heartbeat_after_an_error_was_told():
    async def failed(client, relayed):
        relayed.fail(BROKEN)

    assert beats(failed) == 0


def test_a_slow_client_holds_the_upstream_back():
    async def scenario():
        client = RecordingClient()
        relayed = relay(client)
        client.on_write = lambda _: client.open.clear()
        reply = ScriptedReply([b"a", b"b", b"STOP"])
        relaying = asyncio.ensure_future(relayed.stream(reply, Stream()))
        for sent in ([b"a"], [b"a", b"b"], [b"a", b"b", b"STOP"]):
            for _ in range(5):
                await asyncio.sleep(0)
            assert client.parts == sent
            client.open.set()
        await relaying
        assert relayed.complete

    asyncio.run(scenario())


def test_failures_of_the_upstream_in_words():
    async def broken():
        raise UpstreamError("closed the connection", sent=True)

    async def late():
        raise UpstreamTimeoutError("did not answer", sent=True)

    for call, code in ((broken, ErrorCode.UPSTREAM_FAILED), (late, ErrorCode.UPSTREAM_TIMEOUT)):
        with pytest.raises(GatewayError) as raised:
            asyncio.run(from_upstream(call()))
        assert raised.value.code is code


def test_a_whole_body_and_its_bound():
    assert asyncio.run(read_whole(ScriptedReply([b"ab", b"cd"]), 4)) == b"abcd"
    assert asyncio.run(read_whole(ScriptedReply([]), 4)) == b""
    with pytest.raises(GatewayError) as raised:
        asyncio.run(read_whole(ScriptedReply([b"ab", b"cde"]), 4))
    assert raised.value.code is ErrorCode.UPSTREAM_FAILED


def test_an_error_s_body_is_read_as_far_as_it_comes():
    cut = ScriptedReply([b"ab", UpstreamError("cut", sent=True)])
    assert asyncio.run(read_error(cut)) == b"ab"
    long = ScriptedReply([b"x" * ERROR_BODY_BYTES_MAX, b"more"])
    assert len(asyncio.run(read_error(long))) == ERROR_BODY_BYTES_MAX


def test_an_error_s_body_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(module, "ERROR_BODY_S", 0.01)
    assert asyncio.run(read_error(ScriptedReply([b"ab", HANG]))) == b"ab"


def test_linger_reads_to_the_end_or_cancels(monkeypatch):
    ending = ScriptedReply([b"rest"])
    asyncio.run(linger(ending))
    assert ending.ended
    monkeypatch.setattr(module, "LINGER_S", 0.001)
    hanging = ScriptedReply([HANG])
    asyncio.run(linger(hanging))
    assert hanging.aborted
    ended = ScriptedReply([UpstreamError("not to be read", sent=True)])
    ended.ended = True
    asyncio.run(linger(ended))
    assert not ended.aborted
