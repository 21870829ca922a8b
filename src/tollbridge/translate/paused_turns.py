"""Turns that a Messages upstream pauses, continued here for a client that knows no pause.

A tool that the upstream runs itself may take long; the upstream then stops with `pause_turn` and
wants its own words back to go on (protocol notes C.5). A Messages client does that itself. A Chat
client gets one answer: the upstream is asked again, with all that it has said so far, and what it
reports is added up.
"""

import msgspec
from msgspec import Raw

from tollbridge.translate.held import Held
from tollbridge.translate.members import read_answer_members, read_members, write_member
from tollbridge.units import RESUMES_MAX
from tollbridge.usage import TokenUsage
from tollbridge.wire.codec import decode_answer, encode

PAUSE = "pause_turn"

_Json = dict[str, object]
_raws = msgspec.json.Decoder(list[Raw])
_events = msgspec.json.Decoder(_Json)
_anything = msgspec.json.Decoder(Raw)
_GROWN_BY = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}
"""Which member of a delta adds to which of its block."""


class PausedTurn:
    """What an upstream has said of a turn, over all its pauses."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._before = TokenUsage()
        """Of the answers before the last pause."""
        self._answer = TokenUsage()
        """Of the answer under way."""
        self._blocks: list[Raw] = []
        """Every content block before the last pause, byte for byte where it came whole."""
        self._events: list[bytes] = []
        self._held = Held("a turn that it may pause")
        self._paused = False
        self._resumes = 0

    def event(self, data: bytes) -> None:
        """An event of the stream passes; it may be needed again.

        Raises:
            GatewayError: UPSTREAM_FAILED beyond `HELD_BYTES_MAX` in the whole turn.
        """
        self._held.count(len(data))
        self._events.append(data)

    def total(self, usage: TokenUsage | None) -> TokenUsage | None:
        """The usage of the whole turn, of which the answer under way reports so much."""
        if usage is None:
            return None
        self._answer = usage
        parts = zip(
            msgspec.structs.astuple(self._before), msgspec.structs.astuple(usage), strict=True
        )
        return TokenUsage(*map(sum, parts))

    def stops(self, reason: str | None, content: list[Raw] | None = None) -> bool:
        """An answer has ended; whether that is a pause, which `resume` is to end.

        `content` are its blocks; None: they have come as events.

        Raises:
            GatewayError: UPSTREAM_FAILED: the blocks are too large, or cannot be read.
        """
        if reason != PAUSE or self._resumes == RESUMES_MAX:
            return False
        self._before = self.total(self._answer) or self._before
        self._answer = TokenUsage()
        if content is None:
            content = _blocks_of(self._events)
        else:
            for block in content:
                self._held.count(len(bytes(block)))
        self._blocks += content
        self._events.clear()
        self._paused = True
        return True

    def resume(self) -> bytes | None:
        """The request that makes the upstream go on; None: it has not paused."""
        if not self._paused:
            return None
        self._paused = False
        self._resumes += 1
        members = read_members(self._request)
        said = {"role": "assistant", "content": self._blocks}
        write_member(members, "messages", [*_raws.decode(members["messages"]), said])
        left = msgspec.json.decode(members["max_tokens"], type=int) - self._before.output
        write_member(members, "max_tokens", max(left, 1))
        return encode(members)


def content_of(body: bytes) -> list[Raw]:
    """The blocks of a one-shot answer that has been decoded before."""
    return _raws.decode(read_answer_members(body)["content"])


def _blocks_of(events: list[bytes]) -> list[Raw]:
    """The content blocks that a stream's events add up to, with members that nobody knows.

    The events have been taken before: they are in order, and their blocks are closed.

    Raises:
        GatewayError: a tool's input is no JSON.
    """
    blocks: list[_Growing] = []
    by_index: dict[object, _Growing] = {}
    for data in events:
        event = decode_answer(data, _events)
        kind, index = event.get("type"), event.get("index", 0)
        block, delta = event.get("content_block"), event.get("delta")
        if kind == "content_block_start" and isinstance(block, dict):
            by_index[index] = _Growing(block)
            blocks.append(by_index[index])
        elif kind == "content_block_delta" and isinstance(delta, dict) and index in by_index:
            by_index[index].grow(delta)
    return [Raw(encode(block.whole())) for block in blocks]


class _Growing:
    """A block and what its deltas add to it, joined once."""

    __slots__ = ("_block", "_citations", "_input", "_texts")

    def __init__(self, block: _Json) -> None:
        self._block = block
        self._citations: list[object] = []
        self._input: list[str] = []
        self._texts: dict[str, list[str]] = {}
        """By member."""

    def grow(self, delta: _Json) -> None:
        kind = str(delta.get("type"))
        if kind == "citations_delta":
            self._citations.append(delta.get("citation"))
        elif kind == "input_json_delta":
            self._input.append(str(delta.get("partial_json") or ""))
        elif kind in _GROWN_BY:
            source, target = _GROWN_BY[kind]
            self._texts.setdefault(target, []).append(str(delta.get(source) or ""))

    def whole(self) -> _Json:
        block = self._block
        for member, texts in self._texts.items():
            block[member] = f"{block.get(member) or ''}{''.join(texts)}"
        if self._citations:
            known = block.get("citations")
            block["citations"] = [*(known if isinstance(known, list) else ()), *self._citations]
        if text := "".join(self._input).strip():
            block["input"] = decode_answer(text.encode(), _anything)
        return block
