"""What a Chat stream says is the same, folded before or after it is translated to Messages."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.upstream_answers import Said, answers, chunks_of, open_for, relayed, wire

from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.fold import fold as fold_chat
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.events import Event
from tollbridge.wire.messages.fold import fold as fold_messages
from tollbridge.wire.messages.responses import Message
from tollbridge.wire.sse import SSEDecoder

OMITTED = {"type": "adaptive", "display": "omitted"}
THINKING = st.sampled_from([None, {"type": "adaptive"}, OMITTED])


@st.composite
def cut_answers(draw: st.DrawFn) -> Said:
    """Answers whose last call may have been cut by the output limit."""
    said = draw(answers())
    if said.calls and draw(st.booleans()):
        whole = "".join(said.calls[-1])
        cut = whole[: draw(st.integers(1, len(whole)))]
        said = said._replace(calls=[*said.calls[:-1], [cut]], finish="length", interleaved=False)
    return said


@given(cut_answers(), THINKING, st.lists(st.integers(0, 10_000), max_size=6))
def test_fold_and_translation_commute(
    said: Said, thinking: dict[str, str] | None, cuts: list[int]
) -> None:
    bridge = open_for("messages", "chat", stream=True, thinking=thinking)
    written = relayed(bridge, wire("chat", said), cuts)
    events = [msgspec.json.decode(one.data, type=Event) for one in SSEDecoder().feed(written)]
    folded_late = fold_messages(events)
    chunks = [msgspec.json.decode(encode(one), type=Chunk) for one in chunks_of(said)]
    bridge = open_for("messages", "chat", stream=False, thinking=thinking)
    reply = bridge.reply(encode(fold_chat(chunks)))
    folded_early = msgspec.json.decode(reply.body, type=Message)
    assert json.loads(encode(folded_late)) == json.loads(encode(folded_early))
    kinds = {block.type for block in folded_late.content}
    assert ("thinking" in kinds) == (thinking is not None and bool(said.thoughts))
    if thinking == OMITTED:
        assert not any(block.thinking for block in folded_late.content)
