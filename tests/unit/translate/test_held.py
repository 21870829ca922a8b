import json
from collections.abc import Callable

import pytest
from tests.unit.translate import messages_stream
from tests.unit.translate.chat_streams import answer, call, calls, chunk, text, thought
from tests.unit.translate.test_stream_to_chat import stream

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate import held as module
from tollbridge.translate.held import FRAGMENT_BYTES, Held
from tollbridge.translate.stream_to_messages import StreamToMessages

PIECES, PIECE = 20, "x" * 10
CALLED = calls(call(0, "", id="a", name="f"))
OTHER = calls(call(1, "", id="b", name="f"))
CHAT = {
    "one call": (answer(), b"", calls(call(0, PIECE, id="a", name="f"))),
    "its fragments": (answer(), CALLED, calls(call(0, PIECE))),
    "a call that waits": (answer(), CALLED + OTHER, calls(call(1, PIECE))),
    "a text that waits": (answer(), CALLED, text(PIECE)),
    "thinking that is sealed": (answer(hidden=True, seal_key=b"k"), b"", thought(PIECE)),
    "thinking that is kept": (answer(thinking=False), b"", thought(PIECE)),
}
"""The terms of an answer, how it begins, and what is repeated."""


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HELD_BYTES_MAX", PIECES * len(PIECE) - 1)
    monkeypatch.setattr(module, "FRAGMENT_BYTES", 0)


@pytest.mark.parametrize(
    ("text", "beside_bytes", "fit"),
    [(PIECE, 0, PIECES - 1), ("\u8bd5" * 5, 0, 9), ("", FRAGMENT_BYTES, 3)],
    ids=["its characters count", "wide ones count more", "a tiny fragment takes memory, too"],
)
def test_the_sum_is_bounded(
    text: str, beside_bytes: int, fit: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "FRAGMENT_BYTES", beside_bytes)
    held = Held()
    for _ in range(fit):
        assert held.add(text) is text
    with pytest.raises(GatewayError, match="more than 199 bytes of tool calls") as caught:
        held.add(text)
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("name", CHAT)
def test_a_chat_stream_ends_in_an_error_beyond_it(name: str, at_once: bool):
    terms, begin, piece = CHAT[name]
    state = StreamToMessages(terms)
    state.feed(begin)
    for fed in [piece * (PIECES - 1)] if at_once else [piece] * (PIECES - 1):
        assert b"event: error" not in state.feed(fed)
    assert state.feed(piece).count(b"event: error") == 1
    assert (state.feed(piece), state.close()) == (b"", b"")


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("name", ["thinking", "a call of free text"])
def test_a_messages_stream_ends_in_an_error_beyond_it(
    name: str, at_once: bool, monkeypatch: pytest.MonkeyPatch
):
    whole = (
        messages_stream.thinking(0, *[PIECE] * PIECES, signature="")
        if name == "thinking"
        else messages_stream.tool(0, *[PIECE] * PIECES, name="p")
    )
    *before, last = whole[:-1]
    bound = PIECES * len(PIECE) - 1 + len(json.dumps(before[0]))
    monkeypatch.setattr(module, "HELD_BYTES_MAX", bound)  # how a block begins is kept, too
    state = stream()
    state.feed(messages_stream.wire(messages_stream.START))
    for fed in [before] if at_once else [[event] for event in before]:
        state.feed(messages_stream.wire(*fed))
        assert state.failure is None
    assert b'"error"' in state.feed(messages_stream.wire(last))
    assert (state.feed(messages_stream.wire(last)), state.close()) == (b"", b"")


@pytest.mark.parametrize(
    "events",
    [
        [messages_stream.tool(n, big=PIECE)[0] for n in range(PIECES)],
        [
            messages_stream.thinking(0, signature="")[0],
            *messages_stream.thinking(0, signature=PIECE)[1:2] * PIECES,
        ],
    ],
    ids=["blocks that begin and do not end", "signatures"],
)
def test_nothing_else_of_a_messages_stream_is_kept_without_end(events: list[dict[str, object]]):
    state = stream()
    state.feed(messages_stream.wire(messages_stream.START, *events))
    assert state.failure is not None
    assert "of tool calls and thinking" in state.failure.message


@pytest.mark.parametrize(
    "piece",
    [
        lambda n: calls(call(n, "", id=PIECE, name=PIECE)),
        lambda _: chunk({"reasoning_details": [{"type": "reasoning.text", "signature": PIECE}]}),
    ],
    ids=["names of calls", "signatures"],
)
def test_nothing_else_of_a_chat_stream_is_kept_without_end(piece: Callable[[int], bytes]):
    state = StreamToMessages(answer(thinking=False))
    state.feed(b"".join(map(piece, range(PIECES))))
    assert state.failure is not None
    assert "of tool calls and thinking" in state.failure.message


def test_what_is_not_kept_has_no_bound():
    pieces = [PIECE] * (2 * PIECES)
    state = stream()
    state.feed(messages_stream.wire(messages_stream.START))
    for block in (messages_stream.text(0, *pieces), messages_stream.text(1, *pieces)):
        state.feed(messages_stream.wire(*block))
    other = StreamToMessages(answer())
    for piece in (text(PIECE), thought(PIECE)):
        other.feed(piece * len(pieces))
    assert (state.failure, other.failure) == (None, None)
