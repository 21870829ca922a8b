"""The one-shot message that a stream of events adds up to (protocol notes A.7)."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import BLOCKS_MAX
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.events import Delta, Event
from tollbridge.wire.messages.requests import Block
from tollbridge.wire.messages.responses import Message, Usage

EMPTY_INPUT = Raw(b"{}")
"""The input of a tool that takes none."""


def fold(events: Iterable[Event]) -> Message:
    """Add up the events of one stream. The events are not changed.

    Tool input that is not JSON, because the output limit cut it, becomes a JSON string of what is
    there: it must not be mistaken for a whole input.

    Raises:
        GatewayError: UPSTREAM_FAILED for an `error` event and for events out of order,
            UPSTREAM_TRUNCATED if there is no `message_stop`.
    """
    message: Message | None = None
    blocks: list[_OpenBlock] = []
    by_index: dict[int, _OpenBlock] = {}
    for event in events:
        if event.type == "error":
            text = event.error.message if event.error else ""
            raise GatewayError(ErrorCode.UPSTREAM_FAILED, text or "The upstream reported an error.")
        if event.type == "message_start" and event.message and message is None:
            start = event.message
            message = Message(id=start.id, model=start.model, usage=start.usage or Usage())
            continue
        if event.type == "ping":
            continue
        if message is None:
            raise _out_of_order(event)
        if event.type == "content_block_start" and event.content_block:
            if len(blocks) == BLOCKS_MAX:
                raise _out_of_order(event)
            blocks.append(_OpenBlock(event.content_block))
            by_index[event.index] = blocks[-1]
        elif event.type == "content_block_delta" and event.delta:
            if event.index not in by_index:
                raise _out_of_order(event)
            by_index[event.index].add(event.delta)
        elif event.type == "message_delta":
            if event.delta and event.delta.stop_reason is not None:
                message.stop_reason = event.delta.stop_reason
                message.stop_sequence = event.delta.stop_sequence
                message.stop_details = event.delta.stop_details
            message.usage = merge_usage(message.usage, event.usage)
        elif event.type == "message_stop":
            message.content = [block.closed() for block in blocks]
            return message
    raise GatewayError(ErrorCode.UPSTREAM_TRUNCATED, "The upstream's answer was cut short.")


def merge_usage(before: Usage, after: Usage | None) -> Usage:
    """Later counts overwrite earlier ones; a count that is not told again stays."""
    if after is None:
        return before
    told = {
        field: value
        for field in after.__struct_fields__
        if (value := getattr(after, field)) is not None
    }
    return msgspec.structs.replace(before, **told)


class _OpenBlock:
    """A block whose deltas are still coming; the start event's block is left as it was."""

    __slots__ = ("block", "citations", "input", "signature", "text", "thinking")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.text = [block.text or ""]
        self.thinking = [block.thinking or ""]
        self.input: list[str] = []
        self.signature = block.signature
        self.citations: list[Raw] = []

    def add(self, delta: Delta) -> None:
        if delta.text is not None:
            self.text.append(delta.text)
        if delta.thinking is not None:
            self.thinking.append(delta.thinking)
        if delta.partial_json is not None:
            self.input.append(delta.partial_json)
        if delta.signature is not None:
            self.signature = delta.signature
        if isinstance(delta.citation, Raw):
            self.citations.append(delta.citation.copy())

    def closed(self) -> Block:
        kind = self.block.type
        if kind == "text":
            block = msgspec.structs.replace(self.block, text="".join(self.text))
            if self.citations:
                block.citations = Raw(encode(self.citations))
            return block
        if kind == "thinking":
            return msgspec.structs.replace(
                self.block, thinking="".join(self.thinking), signature=self.signature or ""
            )
        if kind.endswith("tool_use"):
            return msgspec.structs.replace(self.block, input=self._whole_input())
        return msgspec.structs.replace(self.block)

    def _whole_input(self) -> Raw:
        text = "".join(self.input)
        if not text.strip():
            return self.block.input if isinstance(self.block.input, Raw) else EMPTY_INPUT
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return Raw(encode(text))
        return Raw(text.encode())


def _out_of_order(event: Event) -> GatewayError:
    return GatewayError(
        ErrorCode.UPSTREAM_FAILED, f"The upstream sent a {event.type!r} event out of order."
    )
