import msgspec
import pytest

from tollbridge.translate import messages_views as views
from tollbridge.wire.messages import events, requests, responses

VIEWED = [
    (views.PassingPiece, requests.Block),
    (views.ThoughtBlock, requests.Block),
    (views.SignedBlock, requests.Block),
    (views.PassingDelta, events.Delta),
    (views.Growth, events.Delta),
    (views.PassingStart, events.EventMessage),
    (views.PassingEvent, events.Event),
    (views.GrowthEvent, events.Event),
    (views.NamedEvent, events.Event),
    (views.RoleTurn, requests.Turn),
    (views.ThinkingBudget, requests.Thinking),
]


@pytest.mark.parametrize(("view", "whole"), VIEWED, ids=[view.__name__ for view, _ in VIEWED])
def test_a_view_names_members_of_the_vocabulary(view, whole):
    assert set(view.__struct_encode_fields__) <= set(whole.__struct_encode_fields__)


@pytest.mark.parametrize("view", [views.Answer, views.PassingAnswer])
def test_an_answer_is_a_message_or_an_error(view):
    names = set(view.__struct_encode_fields__) - {"error"}
    assert names <= set(responses.Message.__struct_encode_fields__)


def test_members_that_are_not_named_are_passed_over():
    data = b'{"type":"ping","hologram":{"depth":[1,2]},"index":3}'
    assert msgspec.json.decode(data, type=views.PassingEvent) == views.PassingEvent("ping", 3)


def test_a_delta_without_an_index_is_none():
    with pytest.raises(msgspec.ValidationError, match="index"):
        msgspec.json.decode(b'{"delta":{"text":"a"}}', type=views.GrowthEvent)


def test_what_is_read_of_two_small_members():
    assert msgspec.json.decode(b'{"input":"ls -l"}', type=views.FreeText).input == "ls -l"
    assert msgspec.json.decode(b"{}", type=views.ThreadKind).type == ""
