import pytest
from tests.unit.translate import messages_stream
from tests.unit.translate.chat_streams import answer, call, calls, text, thought
from tests.unit.translate.test_stream_to_chat import stream

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate import held as module
from tollbridge.translate.held import Held
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
    monkeypatch.setattr(module, "HELD_CHARS_MAX", PIECES * len(PIECE) - 1)


def test_the_sum_is_bounded():
    held = Held()
    for _ in range(PIECES - 1):
        held.add(PIECE)
    with pytest.raises(GatewayError, match="more than 199 characters") as caught:
        held.add(PIECE)
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
def test_a_messages_stream_ends_in_an_error_beyond_it(name: str, at_once: bool):
    whole = (
        messages_stream.thinking(0, *[PIECE] * PIECES, signature="")
        if name == "thinking"
        else messages_stream.tool(0, *[PIECE] * PIECES, name="p")
    )
    *before, last = whole[:-1]
    state = stream()
    state.feed(messages_stream.wire(messages_stream.START))
    for fed in [before] if at_once else [[event] for event in before]:
        state.feed(messages_stream.wire(*fed))
        assert state.failure is None
    assert b'"error"' in state.feed(messages_stream.wire(last))
    assert (state.feed(messages_stream.wire(last)), state.close()) == (b"", b"")


def test_what_is_not_kept_has_no_bound():
    pieces = [PIECE] * (2 * PIECES)
    state = stream()
    state.feed(messages_stream.wire(messages_stream.START))
    for block in (messages_stream.text(0, *pieces), messages_stream.tool(1, *pieces)):
        state.feed(messages_stream.wire(*block))
    other = StreamToMessages(answer())
    for piece in (text(PIECE), thought(PIECE)):
        other.feed(piece * len(pieces))
    assert (state.failure, other.failure) == (None, None)
