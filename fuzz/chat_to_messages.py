"""Any Chat stream becomes events in the order that clients rely on, or ends in an error event."""

from tests.unit.translate.chat_streams import check_order, events_of

from fuzz.corpus import CHAT_DETAILS, CHAT_ERROR, CHAT_STREAM
from fuzz.target import Target, check_stream
from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.stream_to_messages import StreamToMessages
from tollbridge.translate.tool_names import ToolNames


def check(data: bytes) -> None:
    """With thoughts shown, hidden, left out; with tags in the text and without."""
    kind = sum(data[:16]) % 4
    answer = AnswerTerms(
        "m", "req_1", "abc", 7, ToolNames(64),
        thinking=kind != 1, hidden=kind == 2, think_tags=kind == 3, seal_key=b"key",
    )  # fmt: skip
    check_order(events_of(check_stream(lambda: StreamToMessages(answer), data)))


TARGET = Target(check, [CHAT_STREAM, CHAT_DETAILS, CHAT_STREAM[:700] + CHAT_ERROR])
