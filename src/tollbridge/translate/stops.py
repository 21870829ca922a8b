"""Why an answer of a Chat upstream stopped, in Messages' words (protocol notes C.5)."""

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.tables import FINISH_TO_STOP, ODD_FINISHES, UNKNOWN_FINISH
from tollbridge.wire.chat.responses import FinishReason
from tollbridge.wire.messages.responses import StopReason

_OFFICIAL: dict[str, FinishReason] = {word: word for word in FINISH_TO_STOP}


def finish_word(word: str) -> FinishReason:
    """The official word for what an upstream calls its finish.

    Raises:
        GatewayError: the word says that the upstream gave up.
    """
    meaning = _OFFICIAL.get(word) or ODD_FINISHES.get(word, UNKNOWN_FINISH)
    if isinstance(meaning, ErrorCode):
        raise failure_with_finish(meaning, word)
    return meaning


def failure_with_finish(code: ErrorCode, word: str) -> GatewayError:
    """The error that an upstream told as a finish reason."""
    return GatewayError(code, f"The model's server ended the answer with {word!r}.")


def stop_reason(
    finish: FinishReason, *, called: bool, refused: bool, matched: str | None
) -> StopReason:
    """The stop reason.

    `called`: a tool call went out. `matched`: the stop sequence that the upstream named.
    """
    if refused or finish == "content_filter":
        return FINISH_TO_STOP["content_filter"]
    if finish == "length":
        # Also with a call: its arguments may be cut, and must not be run.
        return FINISH_TO_STOP["length"]
    if called:
        # Some upstreams close a tool turn with `stop`: agents would wait for ever.
        return FINISH_TO_STOP["tool_calls"]
    return "stop_sequence" if matched is not None else FINISH_TO_STOP["stop"]
