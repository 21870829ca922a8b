"""A one-shot answer that is gathered from a stream is the answer that the stream adds up to."""

import itertools
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.upstream_answers import Said, answers, folded, wire
from tests.unit.translate.test_gathered_completion import gatherer

from tollbridge.wire.chat.responses import Completion

_completions = msgspec.json.Decoder(Completion)


@given(answers(), st.lists(st.integers(0, 10_000), max_size=6))
def test_gathered_as_it_folds(said: Said, cuts: list[int]) -> None:
    data, answer = wire("chat", said), gatherer()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        assert answer.feed(data[start:end]) == b""
    assert answer.close() == b""
    assert answer.finished
    reply = answer.reply()
    expected = _completions.decode(folded("chat", said))
    expected.model = "mine"
    for choice in expected.choices or ():
        choice.message.content = choice.message.content or ""
    assert _completions.decode(reply.body) == expected
    assert json.loads(reply.body)["usage"]["completion_tokens"] == said.output
    assert reply.usage is not None
    assert reply.usage.cache_read == said.cached


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_bytes_without_sense_end_in_an_error(pieces: list[bytes]) -> None:
    answer = gatherer()
    for piece in pieces:
        answer.feed(b"data: " + piece + b"\n\n")
    answer.close()
    assert answer.failure is not None
