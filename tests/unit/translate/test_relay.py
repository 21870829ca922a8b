"""What all streams share, with the smallest subclass there can be."""

import pytest

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.chat_identity import ChatRelay
from tollbridge.translate.relay import Relay
from tollbridge.units import EVENT_BYTES_MAX

ASK = Ask(model="m", stream=True, max_tokens=None, thinking=False)


class Echo(Relay):
    client: Protocol = "chat"
    __slots__ = ("whole",)

    def __init__(self) -> None:
        super().__init__(ASK, Identity("req_1", "abc", 0))
        self.whole = False

    def _block(self, block: bytes) -> bytes:
        self._count(block.decode())
        self.finished = block == b"end"
        return block + b"|"

    def _end(self) -> bytes | None:
        return b"rest" if self.whole else None


def test_blocks_go_through_until_the_end() -> None:
    echo = Echo()
    assert echo.feed(b"a\n\nb\n") == b"a|"
    assert echo.feed(b"\nend\n\nc\n\n") == b"b|end|"
    assert echo.feed(b"d\n\n") == b""
    assert echo.close() == b""
    assert echo.failure is None


def test_the_end_may_come_without_a_blank_line() -> None:
    echo = Echo()
    assert echo.feed(b"end") == b""
    assert echo.close() == b"end|"
    assert echo.failure is None


def test_a_stream_may_be_whole_without_its_end() -> None:
    echo = Echo()
    echo.whole = True
    assert echo.close() == b"rest"
    assert echo.failure is None


def test_else_it_was_cut() -> None:
    echo = Echo()
    assert b'"stream_truncated"' in echo.close()
    assert echo.failure is not None
    assert echo.failure.code is ErrorCode.UPSTREAM_TRUNCATED


def test_an_endless_event_is_a_failure() -> None:
    echo = Echo()
    assert b'"error"' in echo.feed(b"x" * (EVENT_BYTES_MAX + 1))
    assert echo.failure is not None
    assert echo.failure.code is ErrorCode.UPSTREAM_FAILED


def test_only_the_first_failure_is_told() -> None:
    echo = Echo()
    first = GatewayError(ErrorCode.UPSTREAM_TIMEOUT, "Too late.")
    assert b"Too late." in echo.fail(first)
    assert echo.fail(GatewayError(ErrorCode.INTERNAL, "No.")) == b""
    assert echo.failure is first


@pytest.mark.parametrize(("text", "tokens"), [("abcdefgh", 2), ("汉字汉字", 3)])
def test_counting_knows_wide_characters(text: str, tokens: int) -> None:
    echo = Echo()
    echo.feed(text.encode() + b"\n\n")
    assert echo.counted_output == tokens


def test_broken_utf8_from_an_upstream_ends_the_stream_in_an_error():
    relay = ChatRelay(
        Ask(model="m", stream=True, max_tokens=1, thinking=True), Identity("r", "i", 1)
    )
    sent = relay.feed(b'data: {"\xff":1}\n\n')
    assert relay.failure is not None
    assert relay.failure.code is ErrorCode.UPSTREAM_FAILED
    assert b'"error"' in sent
