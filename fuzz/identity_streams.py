"""A stream of the client's own protocol passes, is cut, or fails; nothing follows its end."""

from fuzz.corpus import CHAT_DETAILS, CHAT_ERROR, CHAT_STREAM, MESSAGES_ERROR, MESSAGES_STREAM
from fuzz.target import Target, check_stream
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.chat_identity import ChatRelay
from tollbridge.translate.identity import MessagesRelay

ASK = Ask(model="m", stream=True, max_tokens=None, thinking=True, input_estimate=7)
IDENTITY = Identity("req_1", "ab40", 7)
"""Of the sample whose answers are looked at closely."""


def check(data: bytes) -> None:
    """As both protocols."""
    check_stream(lambda: MessagesRelay(ASK, IDENTITY), data)
    check_stream(lambda: ChatRelay(ASK, IDENTITY), data)


TARGET = Target(
    check,
    [
        MESSAGES_STREAM,
        CHAT_STREAM,
        CHAT_DETAILS,
        MESSAGES_STREAM[:900] + MESSAGES_ERROR,
        CHAT_STREAM[:700] + CHAT_ERROR,
    ],
)
