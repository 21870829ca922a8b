import pytest

from tollbridge.errors import GatewayError
from tollbridge.translate import open_calls
from tollbridge.translate.held import Held
from tollbridge.translate.open_calls import OpenCalls
from tollbridge.wire.chat.requests import FunctionCall, ToolCall


def piece(index: int | None, arguments: str = "", id: str = "", name: str = "") -> ToolCall:  # noqa: A002
    return ToolCall(index=index, id=id, function=FunctionCall(name=name, arguments=arguments))


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([piece(0, "{", "a", "f"), piece(0, "}")], 1),
        ([piece(0, "{", "a", "f"), piece(0, "}", "a", "f")], 1),
        ([piece(0, "{}", "a", "f"), piece(0, "{}", "b", "g")], 2),
        ([piece(0, "{}", "a", "f"), piece(0, "{}", "b", "f")], 2),
        ([piece(0, "{}", "", "f"), piece(0, "{}", "", "f")], 2),
        ([piece(0, "{", "", "f"), piece(0, "}", "", "f")], 1),
        ([piece(0, "{", "a", "f"), piece(0, "}", "b")], 1),
        ([piece(None, "{}", "a", "f"), piece(None, "{}", "b", "g")], 2),
        ([piece(0, "{}", "a", "f"), piece(1, "{}", "b", "g"), piece(0, " ")], 2),
    ],
)
def test_fragments_find_their_call(pieces: list[ToolCall], count: int):
    calls = OpenCalls(Held())
    assert sum(calls.add(one)[1] for one in pieces) == count == calls.count


def test_a_call_is_whole_when_its_arguments_are_an_object():
    calls = OpenCalls(Held())
    call, _ = calls.add(piece(0, '{"a": "}', "a", "f"))
    assert not call.is_whole()
    assert calls.is_cut()
    calls.add(piece(0, '"} \n'))
    assert call.is_whole()
    assert calls.all_whole()
    assert not calls.is_cut()


def test_a_call_without_arguments_is_not_cut_and_may_still_get_some():
    calls = OpenCalls(Held())
    calls.add(piece(0, "", "a", "f"))
    assert not calls.is_cut()
    assert not calls.all_whole()


def test_a_runaway_is_stopped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(open_calls, "TOOL_CALLS_MAX", 2)
    calls = OpenCalls(Held())
    calls.add(piece(0, "{}", "a", "f"))
    calls.add(piece(1, "{}", "b", "f"))
    with pytest.raises(GatewayError):
        calls.add(piece(2, "{}", "c", "f"))


def test_what_the_client_has_already_counts_for_the_end():
    calls = OpenCalls(Held())
    calls.add(piece(0, "{", "a", "f"))
    call = calls.next_live()
    assert call is not None
    call.sent = 1
    assert not call.is_whole()
    calls.note_sent("}")
    assert (call.sent, call.is_whole()) == (2, True)


def test_a_call_that_never_ends_is_not_looked_through_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(open_calls, "PATIENCE_CHARS", 10)
    calls = OpenCalls(Held())
    call, _ = calls.add(piece(0, '{"a":"', "a", "f"))
    for _ in range(3):
        calls.add(piece(0, "}"))
        assert not call.is_whole()
    calls.add(piece(0, '"}'))
    assert not call.is_whole(), "it has been looked at too often"
    assert not calls.is_cut(), "the end looks again"
