import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server import inbound
from tollbridge.server.inbound import ClientGoneError, Receive, RequestBody, header_map

GONE = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def parts(*bodies: bytes) -> list[dict[str, Any]]:
    return [part(body, more=index < len(bodies) - 1) for index, body in enumerate(bodies)]


def source(messages: list[dict[str, Any]]) -> Receive:
    """An ASGI server: after the last part it would wait for the client to leave."""

    async def receive() -> dict[str, Any]:
        assert messages, "asked for more than there is"
        return messages.pop(0)

    return receive


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


@given(st.lists(st.binary(max_size=5), min_size=1))
def test_the_body_is_its_parts(bodies: list[bytes]):
    messages = parts(*bodies)
    assert run(RequestBody(source(messages), 1000).read()) == b"".join(bodies)
    assert not messages


def test_a_single_part_is_not_copied():
    whole = b"x" * 100
    assert run(RequestBody(source(parts(whole)), 100).read()) is whole


def test_a_message_may_leave_out_its_members():
    assert run(RequestBody(source([{"type": "http.request"}]), 100).read()) == b""


def test_the_limit_is_kept_while_reading():
    messages = parts(b"x" * 60, b"x" * 40)
    assert len(run(RequestBody(source(messages), 100).read())) == 100
    messages = parts(b"x" * 60, b"x" * 41, b"never", b"read")
    with pytest.raises(GatewayError) as caught:
        run(RequestBody(source(messages), 100).read())
    assert caught.value.code is ErrorCode.BODY_TOO_LARGE
    assert len(messages) == 2


def test_a_client_that_leaves():
    for messages in ([GONE], [part(b"x", more=True), GONE]):
        with pytest.raises(ClientGoneError):
            run(RequestBody(source(list(messages)), 100).read())
        with pytest.raises(ClientGoneError):
            run(RequestBody(source(list(messages)), 100).discard())


def test_discard_takes_the_rest_once():
    async def scenario() -> None:
        messages = parts(b"x" * 60, b"x" * 60, b"rest", b"end")
        body = RequestBody(source(messages), 100)
        with pytest.raises(GatewayError):
            await body.read()
        await body.discard()
        assert not messages
        await body.discard()

    run(scenario())


def test_discard_after_the_end_asks_for_nothing():
    async def scenario() -> None:
        body = RequestBody(source(parts(b"whole")), 100)
        await body.read()
        await body.discard()

    run(scenario())


def test_discard_ends_with_an_endless_body(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inbound, "DISCARD_BYTES_MAX", 1000)
    taken = 0

    async def endless() -> dict[str, Any]:
        nonlocal taken
        taken += 100
        return part(b"x" * 100, more=True)

    run(RequestBody(endless, 10).discard())
    assert taken == 1000


def test_discard_ends_with_a_silent_client(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inbound, "DISCARD_S", 0.01)

    async def silent() -> dict[str, Any]:
        await asyncio.Event().wait()
        return GONE

    run(RequestBody(silent, 10).discard())


def test_headers_of_one_name_are_joined():
    lines = [(b"anthropic-beta", b"a,b"), (b"x", b"\xe9"), (b"anthropic-beta", b"c")]
    assert header_map({"headers": lines}) == {"anthropic-beta": "a,b,c", "x": "é"}
