import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.server.outbound import (
    HEADER_CHARS_MAX,
    REQUEST_ID_HEADERS,
    AsgiClient,
    header_value,
)
from tollbridge.units import RequestId


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text/event-stream; charset=utf-8", b"text/event-stream; charset=utf-8"),
        ("seed, top_k", b"seed, top_k"),
        ("工具", b"\\u5de5\\u5177"),
        ("é", b"\\xe9"),
        ("a\r\nset-cookie: b", b"a\\r\\nset-cookie: b"),
        ("nul\x00tab\t", b"nul\\x00tab\\t"),
        ("\udcff", b"\\udcff"),
        ("", b""),
    ],
)
def test_a_value_is_printable_ascii(text: str, value: bytes):
    assert header_value(text) == value


@given(st.text(st.characters(), max_size=3 * HEADER_CHARS_MAX))
def test_no_value_can_break_an_answer(text: str):
    value = header_value(text)
    assert all(0x20 <= byte < 0x7F for byte in value)


def test_a_long_value_is_cut():
    value = header_value("member, " * 10_000)
    assert len(value) == HEADER_CHARS_MAX
    assert value.endswith(b"...")


class Wire:
    """Both ends of an ASGI call."""

    def __init__(self, *, head_only: bool = False) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.client = AsgiClient(
            self.incoming.get, self.send, RequestId("req_1"), head_only=head_only
        )

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)


def test_an_answer_bears_the_request_id_and_may_be_read_by_browsers():
    async def scenario() -> None:
        wire = Wire()
        assert not wire.client.started
        await wire.client.start(200, [("x-tollbridge-dropped", "工")])
        assert wire.client.started
        await wire.client.write(b"a")
        await wire.client.finish(b"b")
        start, *rest = wire.sent
        assert start["status"] == 200
        headers = dict(start["headers"])
        assert [headers[name] for name in REQUEST_ID_HEADERS] == [b"req_1"] * 3
        assert headers[b"access-control-allow-origin"] == b"*"
        assert headers[b"x-tollbridge-dropped"] == b"\\u5de5"
        assert [(m["body"], m["more_body"]) for m in rest] == [(b"a", True), (b"b", False)]

    asyncio.run(scenario())


def test_head_has_no_body():
    async def scenario() -> None:
        wire = Wire(head_only=True)
        await wire.client.start(200, [("content-length", "5")])
        await wire.client.finish(b"hello")
        assert [m["body"] for m in wire.sent[1:]] == [b""]

    asyncio.run(scenario())


def test_the_watcher_calls_once_when_the_client_leaves():
    async def scenario() -> None:
        wire = Wire()
        gone = asyncio.Event()
        wire.client.watch(gone.set)
        wire.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        wire.incoming.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(gone.wait(), 5)
        wire.client.unwatch()
        wire.client.unwatch()

    asyncio.run(scenario())


def test_an_unwatched_client_is_not_reported():
    async def scenario() -> None:
        wire = Wire()
        gone = asyncio.Event()
        wire.client.watch(gone.set)
        await asyncio.sleep(0)
        wire.client.unwatch()
        wire.incoming.put_nowait({"type": "http.disconnect"})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not gone.is_set()

    asyncio.run(scenario())
