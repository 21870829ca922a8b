"""The tool calls of one streamed answer, put in an order that Messages can say.

Chat lets the fragments of several calls interleave; Messages has one open block at most. The first
call streams live. A call that begins after it does too if the one before is whole, and otherwise
waits until the calls end (protocol notes C.9.3).
"""

import msgspec

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.held import Held
from tollbridge.units import TOOL_CALLS_MAX
from tollbridge.wire.chat.requests import FunctionCall, ToolCall

PATIENCE_CHARS = 64 * 1024 * 1024
"""So much of one call's arguments is looked through in vain while they come, far more than honest
servers need. Then only its end is looked at: a text within the call waits for it."""


class OpenCall:
    """One call as far as it has come."""

    __slots__ = ("_judged", "_patience", "_whole", "arguments", "id", "name", "sent")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.sent = 0
        """How many of `arguments` the client has."""
        self._judged = 0
        """How many of `arguments` there were when `_whole` was found."""
        self._whole = False
        self._patience = PATIENCE_CHARS

    def is_whole(self) -> bool:
        """Whether the arguments are complete JSON."""
        if self._judged != len(self.arguments):
            self._judged = len(self.arguments)
            self._whole = self._patience > 0 and self.is_json()
        return self._whole

    def is_json(self) -> bool:
        """The same, however often it was asked before."""
        text = "".join(self.arguments).rstrip()
        self._patience -= len(text)
        if not text.endswith("}"):
            return False
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class OpenCalls:
    """Sorts fragments into calls. `live` is the one whose block is open."""

    __slots__ = ("_by_index", "_held", "_last", "count", "live", "waiting")

    def __init__(self, held: Held) -> None:
        self.live: OpenCall | None = None
        self.waiting: list[OpenCall] = []
        self.count = 0
        self._held = held
        self._by_index: dict[int, OpenCall] = {}
        self._last = 0

    def add(self, piece: ToolCall) -> tuple[OpenCall, bool]:
        """The call that a fragment belongs to, now with the fragment, and whether it is new.

        Raises:
            GatewayError: UPSTREAM_FAILED beyond `TOOL_CALLS_MAX` calls or `HELD_BYTES_MAX`.
        """
        function = piece.function or FunctionCall()
        index = self._index(piece, function)
        call = self._by_index.get(index)
        new = call is None or (bool(function.name) and _begins_another(call, piece, function))
        if new or call is None:
            if self.count == TOOL_CALLS_MAX:
                raise GatewayError(
                    ErrorCode.UPSTREAM_FAILED,
                    f"The model's server sent more than {TOOL_CALLS_MAX} tool calls.",
                )
            call = OpenCall()
            self.count += 1
            self._by_index[index] = call
            self.waiting.append(call)
        self._last = index
        if piece.id or function.name:
            call.id = call.id or self._held.add(piece.id or "")
            call.name = call.name or self._held.add(function.name or "")
        if function.arguments:
            call.arguments.append(self._held.add(function.arguments))
        return call, new

    def note_sent(self, arguments: str) -> None:
        """More arguments of the live call, which the client has already.

        Raises:
            GatewayError: like `add`.
        """
        assert self.live is not None
        self.live.arguments.append(self._held.add(arguments))
        self.live.sent += 1

    def next_live(self) -> OpenCall | None:
        """The waiting call whose turn it is, once its name is known."""
        if self.live is None and self.waiting and self.waiting[0].name:
            self.live = self.waiting.pop(0)
            return self.live
        return None

    def all_whole(self) -> bool:
        """Whether no fragment can still be missing of a call that is not closed."""
        return all(call.is_whole() for call in self._open())

    def is_cut(self) -> bool:
        """Whether arguments have begun that are not whole."""
        return any(call.arguments and not call.is_json() for call in self._open())

    def _open(self) -> list[OpenCall]:
        return [self.live, *self.waiting] if self.live else self.waiting

    def _index(self, piece: ToolCall, function: FunctionCall) -> int:
        if piece.index is not None:
            return piece.index
        # Without an index, an id or a name begins a call, and anything else continues the last.
        known = self._by_index.get(self._last)
        if known is not None and _begins_another(known, piece, function):
            return max(self._by_index) + 1
        return self._last


def _begins_another(call: OpenCall, piece: ToolCall, function: FunctionCall) -> bool:
    """Whether a fragment under a known index is another call all the same.

    Some servers give every call the index 0; others repeat id and name in every fragment.
    """
    if not function.name or not call.name:
        return False
    if piece.id and call.id:
        return piece.id != call.id
    return call.is_whole()
