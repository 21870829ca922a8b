import msgspec
import pytest

from tollbridge.translate import chat_views as views
from tollbridge.wire.chat import chunks, requests, responses

VIEWED = [
    (views.PassingFunction, requests.FunctionCall),
    (views.PassingCall, requests.ToolCall),
    (views.PassingText, responses.Reply),
    (views.PassingText, chunks.ChunkDelta),
    (views.ChunkBody, chunks.Chunk),
    (views.NamedChunk, chunks.Chunk),
    (views.NamedDelta, chunks.ChunkChoice),
    (views.NamedChoices, chunks.Chunk),
]


@pytest.mark.parametrize(("view", "whole"), VIEWED, ids=[view.__name__ for view, _ in VIEWED])
def test_a_view_names_members_of_the_vocabulary(view, whole):
    assert set(view.__struct_encode_fields__) <= set(whole.__struct_encode_fields__)


@pytest.mark.parametrize("view", [views.CompletionBody, views.PassingCompletion])
def test_an_answer_is_a_completion_or_an_error(view):
    names = set(view.__struct_encode_fields__) - {"error"}
    assert names <= set(responses.Completion.__struct_encode_fields__)


def test_a_choice_is_one_of_a_completion_or_of_a_chunk():
    whole = {
        *responses.Choice.__struct_encode_fields__,
        *chunks.ChunkChoice.__struct_encode_fields__,
    }
    assert set(views.PassingChoice.__struct_encode_fields__) <= whole


def test_members_that_are_not_named_are_passed_over():
    data = b'{"model":"m","hologram":{"depth":[1,2]},"choices":[{"delta":{"x":1}}]}'
    read = msgspec.json.decode(data, type=views.PassingCompletion)
    assert read.choices == [views.PassingChoice(delta=views.PassingText())]
    assert read.model == "m"
