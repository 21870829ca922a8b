"""What an answer has to know of its question, where a Chat upstream answers a Messages client."""

from typing import NamedTuple

from tollbridge.translate.tool_names import ToolNames
from tollbridge.translate.unknown_names import UnknownNames


class AnswerTerms(NamedTuple):
    """What an answer needs to know of its question."""

    model: str
    request_id: str
    message_id: str
    input_estimate: int
    names: ToolNames
    thinking: bool
    """Whether the client sees thinking blocks at all."""
    hidden: bool = False
    """The blocks are there, but their text only inside the signature (`display: omitted`)."""
    seal_key: bytes = b""
    stop_sequences: tuple[str, ...] = ()
    match_stops: bool = False
    """The upstream was not told the stop sequences: the answer is ended here."""
    think_tags: bool = False
    unknown: UnknownNames | None = None
