"""A Chat stream as the one-shot completion it stands for, with every member that came.

For servers that go on with a one-shot answer whose client has left (protocol notes C.9.16): they
are asked for a stream, which they do stop. The types of the vocabulary would lose what a server
has of its own, so that this adds up plain JSON: texts are joined, lists follow one another, of
anything else the last word counts.
"""

from typing import cast

import msgspec

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity, Reply
from tollbridge.translate.chat_answers import read_chunk
from tollbridge.translate.counting import usage_from_chat
from tollbridge.translate.relay import Relay
from tollbridge.units import TOOL_CALLS_MAX
from tollbridge.wire.chat.fold import CHOICES_MAX
from tollbridge.wire.chat.responses import ChatUsage
from tollbridge.wire.codec import decode_answer, encode
from tollbridge.wire.sse import DONE, parse_block

Json = dict[str, object]

_GROWING = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
"""Texts of a delta that come in pieces. Others, such as a role, are said whole or repeated."""
_OURS = frozenset({"object", "model", "choices", "obfuscation"})
"""Members of a chunk that are not the answer's."""

_chunks = msgspec.json.Decoder(Json)


class GatheredCompletion(Relay):
    """Implements `bridge.GatheredAnswer`."""

    client: Protocol = "chat"
    __slots__ = ("_choices", "_whole")

    def __init__(self, ask: Ask, identity: Identity) -> None:
        super().__init__(ask, identity)
        self._whole: Json = {"object": "chat.completion", "model": ask.model}
        self._choices: dict[int, _Choice] = {}

    def reply(self) -> Reply:
        """The completion, once the stream has finished."""
        choices = [self._choices[index].closed() for index in sorted(self._choices)]
        return Reply(encode({**self._whole, "choices": choices}), self.usage, self.counted_output)

    def _block(self, block: bytes) -> bytes:
        _, data = parse_block(block)
        if not data:
            return b""
        if data.strip() == DONE:
            self.finished = self._is_whole()
            return b""
        known = read_chunk(data)
        if known.usage is not None:
            self.usage = usage_from_chat(known.usage)
        chunk = decode_answer(data, _chunks)
        for name, value in chunk.items():
            if name not in _OURS and value is not None:
                self._whole[name] = value
        pieces = cast("list[Json]", chunk.get("choices") or [])
        for read, piece in zip(known.choices or (), pieces, strict=True):
            if isinstance(read.usage, ChatUsage):
                self.usage = usage_from_chat(read.usage)
                self._whole["usage"] = piece.pop("usage")
            if read.index not in self._choices:
                _check_limit(len(self._choices), CHOICES_MAX, "choices")
                self._choices[read.index] = _Choice(read.index)
            self._count(self._choices[read.index].add(piece))
        return b""

    def _end(self) -> bytes | None:
        """Some servers end without `[DONE]`."""
        self.finished = self._is_whole()
        return b"" if self.finished else None

    def _is_whole(self) -> bool:
        choices = self._choices.values()
        return bool(choices) and all(choice.members.get("finish_reason") for choice in choices)


class _Choice:
    """A choice whose deltas are still coming."""

    __slots__ = ("_calls", "_last_call", "_message", "members")

    def __init__(self, index: int) -> None:
        self._message: Json = {"role": "assistant", "content": ""}
        self._calls: dict[int, Json] = {}
        self._last_call = -1
        self.members: Json = {"index": index, "message": self._message}

    def add(self, piece: Json) -> str:
        """Take a choice of a chunk; returns what it generated."""
        said = ""
        for name, value in piece.items():
            if name == "delta":
                said += self._grow(cast("Json", value or {}))
            elif name == "logprobs" and isinstance(value, dict):
                self._extend(value)
            elif name != "index" and (value is not None or name not in self.members):
                self.members[name] = value
        return said

    def closed(self) -> Json:
        """The whole choice."""
        if self._calls:
            self._message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        return self.members

    def _grow(self, delta: Json) -> str:
        message, said = self._message, ""
        for name, value in delta.items():
            before = message.get(name)
            if name == "tool_calls" and isinstance(value, list):
                said += "".join(map(self._grow_call, value))
            elif name == "function_call" and isinstance(value, dict):
                said += _grow_function(message, name, value)
            elif name in _GROWING and isinstance(value, str):
                said += value
                message[name] = f"{before or ''}{value}"
            elif isinstance(value, list) and isinstance(before, list):
                before += value
            elif value is not None:
                message[name] = value
        return said

    def _grow_call(self, piece: Json) -> str:
        # Servers that leave out the index mean the call under way, or a new one by its id.
        index = piece.get("index")
        if not isinstance(index, int):
            index = self._last_call + bool(piece.get("id") or not self._calls)
        if index not in self._calls:
            _check_limit(len(self._calls), TOOL_CALLS_MAX, "tool calls")
        call = self._calls.setdefault(index, {})
        self._last_call = index
        said = ""
        for name, value in piece.items():
            if name in ("function", "custom") and isinstance(value, dict):
                said += _grow_function(call, name, value)
            elif name != "index" and value:
                call.setdefault(name, value)
        return said

    def _extend(self, logprobs: Json) -> None:
        known = cast("Json", self.members.setdefault("logprobs", {}) or {})
        for name, value in logprobs.items():
            before = known.get(name)
            if isinstance(before, list) and isinstance(value, list):
                before.extend(value)
            else:
                known[name] = value or before
        self.members["logprobs"] = known


def _grow_function(holder: Json, name: str, piece: Json) -> str:
    """Add to a called function or tool: the name comes once, its arguments in pieces."""
    function, said = cast("Json", holder.setdefault(name, {})), ""
    for member, value in piece.items():
        if member in ("arguments", "input") and isinstance(value, str):
            said += value
            function[member] = f"{function.get(member) or ''}{value}"
        elif value:
            function.setdefault(member, value)
    return said


def _check_limit(count: int, limit: int, what: str) -> None:
    if count >= limit:
        raise GatewayError(
            ErrorCode.UPSTREAM_FAILED, f"The upstream sent more than {limit} {what}."
        )
