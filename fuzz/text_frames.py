"""Taking events by their bytes changes nothing: no byte, count or outcome, nothing that is kept."""

from collections.abc import Callable
from unittest import mock

from fuzz.corpus import CHAT_STREAM, MESSAGES_STREAM
from fuzz.target import Stream, Target
from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.chat_identity import ChatRelay
from tollbridge.translate.identity import MessagesRelay
from tollbridge.translate.paused_turns import PausedTurn
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.stream_to_messages import StreamToMessages
from tollbridge.translate.text_frames import TextFrames
from tollbridge.translate.tool_names import ToolNames
from tollbridge.translate.tools_to_messages import ToolPlan

IDENTITY = Identity("req_1", "abc", 7)
REQUEST = b'{"model":"up","max_tokens":90,"messages":[{"role":"user","content":"x"}]}'


def check(data: bytes) -> None:
    """All four pairs, in pieces whose sizes the input itself decides."""
    kind = sum(data[:16])
    ask = Ask(
        model="m", stream=True, max_tokens=None,
        thinking=kind % 3 != 1, include_usage=kind % 2 == 0, input_estimate=7,
    )  # fmt: skip
    answer = AnswerTerms(
        "m", "req_1", "abc", 7, ToolNames(64), thinking=kind % 3 != 1, hidden=kind % 3 == 2,
        stop_sequences=("zz",), match_stops=kind % 5 == 0, think_tags=kind % 7 == 0, seal_key=b"k",
    )  # fmt: skip
    turn = lambda: PausedTurn(REQUEST) if kind % 4 == 0 else None  # noqa: E731
    opened: tuple[Callable[[], Stream], ...] = (
        lambda: MessagesRelay(ask, IDENTITY),
        lambda: ChatRelay(ask, IDENTITY),
        lambda: StreamToMessages(answer),
        lambda: ChatStream(ask, IDENTITY, ToolPlan(), turn=turn()),
    )
    for open_stream in opened:
        for size in (len(data) + 1, 1 + kind * 7 % 400):
            found = _play(open_stream(), data, size)
            with mock.patch.object(TextFrames, "take", return_value=None):
                expected = _play(open_stream(), data, size)
            assert found == expected, f"{found} instead of {expected}"


def _play(stream: Stream, data: bytes, size: int) -> tuple[object, ...]:
    sent = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
    sent.append(stream.close())
    turn = getattr(stream, "_turn", None)
    asked = turn.resume() if turn is not None and stream.finished else None
    failure = str(stream.failure)
    return (b"".join(sent), failure, stream.finished, stream.counted_output, stream.kept, asked)


def _grown(stream: bytes, spot: bytes, texts: bytes) -> bytes:
    """The stream with its event that says `spot` repeated, once for each of the texts."""
    at = stream.index(spot)
    begin, end = stream.rindex(b"\n\n", 0, at) + 2, stream.index(b"\n\n", at) + 2
    event = stream[begin:end]
    return (
        stream[:begin]
        + b"".join(event.replace(spot, text) for text in texts.split(b"|"))
        + (stream[end:])
    )


_TEXTS = "a|b |c|工|e|é|f|g|a|a|a|b|c|\\n|h|i|j|k".encode()
_CUT = b"a|b|c|d|" + b"e|\xe5\xb7|\xa5|f|" * 9
_JSON = rb"{|\"b\":[[[[|1|2|3|4|]|]|]|]|,\"a\""
_SAID, _THOUGHT, _INPUT = b"H\\u00e9llo \\u4e16\\u754c", b"Hm.", rb"{\"a\""
_PAUSES = MESSAGES_STREAM.replace(b'"stop_reason": "tool_use"', b'"stop_reason": "pause_turn"')
_ENDLESS = CHAT_STREAM.replace(b'"finish_reason": "tool_calls"', b'"finish_reason": null')
_ENDING = CHAT_STREAM.replace(b'"finish_reason": null', b'"finish_reason": "stop"')
TARGET = Target(
    check,
    [
        _grown(MESSAGES_STREAM, _SAID, _TEXTS),
        _grown(MESSAGES_STREAM, _SAID, _CUT),
        _grown(MESSAGES_STREAM, _THOUGHT, _TEXTS),
        _grown(MESSAGES_STREAM, _INPUT, _JSON),
        _grown(_PAUSES, _SAID, _TEXTS),
        _grown(CHAT_STREAM, _SAID, _TEXTS),
        _grown(CHAT_STREAM, _SAID, _CUT),
        _grown(CHAT_STREAM, _THOUGHT, _TEXTS),
        _grown(_ENDLESS, _INPUT, _JSON),
        _grown(_ENDING, _SAID, _TEXTS),
    ],
)
