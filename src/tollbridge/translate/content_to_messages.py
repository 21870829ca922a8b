"""A Chat conversation as Messages turns (protocol notes C.4)."""

import hashlib
import re

import msgspec
from msgspec import Raw

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.claude import Abilities
from tollbridge.translate.dialects import SystemPlace
from tollbridge.translate.dispositions import CHAT
from tollbridge.translate.members import NULL
from tollbridge.translate.parts_to_messages import part_to_block
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.chat.requests import ChatMessage, ToolCall
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.requests import Block, Turn

SYSTEM_ROLES = frozenset({"system", "developer"})
CLAUDE_FORMAT = "anthropic-claude-v1"
"""OpenRouter's name of reasoning that is signed by Claude; given out and taken back."""

NO_RESULT = "No result was recorded for this call."
EMPTY = "(empty)"
"""Stands for a user message without text: Messages takes no empty blocks."""
CONTINUE = "(continue)"
"""A user turn where Messages wants one and the client has none."""

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]+")
"""The letters of Anthropic's signatures; the gateway's own have a dot (signatures.py)."""
_FIVE_MINUTES = Raw(b'{"type":"ephemeral"}')
_ONE_HOUR = Raw(b'{"type":"ephemeral","ttl":"1h"}')
_object_decoder = msgspec.json.Decoder(dict[str, Raw])


class Conversation:
    """Takes the Chat messages in order; holds the system blocks and the turns they become."""

    def __init__(self, abilities: Abilities, plan: ToolPlan, unknown: UnknownNames) -> None:
        self.system: list[Block] = []
        self.turns: list[Turn] = []
        self.dropped: list[str] = []
        self._abilities = abilities
        self._plan = plan
        self._unknown = unknown
        self._results: list[Block] = []
        self._others: list[Block] = []
        self._pending: dict[str, list[str]] = {}
        """Ids of the last assistant turn's calls without a result: the client's, then ours."""
        self._ids: set[str] = set()

    def add_all(self, messages: list[ChatMessage]) -> None:
        """Translate the whole list.

        Raises:
            GatewayError: FIELD_INVALID or FIELD_UNSUPPORTED with the path of the member.
        """
        leading = True
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            if message.role in SYSTEM_ROLES:
                blocks = self._texts(message, where)
                if leading:
                    self.system += blocks
                elif blocks:
                    self._add_late_system(blocks)
                continue
            leading = False
            if message.role == "user":
                self._others += self._parts(message, where) or [Block(type="text", text=EMPTY)]
            elif message.role in ("tool", "function"):
                self._add_result(message, where)
            elif message.role == "assistant":
                self._add_assistant(message, where)
            else:
                raise _invalid(f"{where}.role", f"unknown role {message.role!r}")
        self._close(len(messages) - 1)

    def tool_loop_lacks_thinking(self) -> bool:
        """Whether a turn that called tools, and whose results come now, has lost its thinking.

        With thinking on, Messages refuses that ("Expected `thinking`, found `tool_use`").
        """
        for turn in reversed(self.turns):
            kinds = [block.type for block in turn.content if isinstance(block, Block)]
            if turn.role == "user" and any(kind != "tool_result" for kind in kinds):
                return False
            if turn.role == "assistant" and "tool_use" in kinds and "thinking" not in kinds[0]:
                return True
        return False

    def drop_thinking(self) -> None:
        """Leave out all thinking, for a request in which thinking is off."""
        for turn in self.turns:
            if turn.role == "assistant" and isinstance(turn.content, list):
                turn.content = [block for block in turn.content if "thinking" not in block.type]
        self.turns = [turn for turn in self.turns if turn.content]

    def _close(self, last: int) -> None:
        self._end_user_turn()
        turns = self.turns
        if not turns or turns[0].role != "user":
            turns.insert(0, Turn(role="user", content=[Block(type="text", text=CONTINUE)]))
        if turns[-1].role == "assistant" and isinstance(turns[-1].content, list):
            final = turns[-1].content[-1]
            if final.text is not None:
                final.text = final.text.rstrip()
            if not self._abilities.prefill:
                self.dropped.append(f"messages[{last}]")
                turns.append(Turn(role="user", content=[Block(type="text", text=CONTINUE)]))

    def _end_user_turn(self) -> None:
        for ids in self._pending.values():
            for tool_use_id in ids:
                self._results.append(
                    Block(
                        type="tool_result",
                        tool_use_id=tool_use_id,
                        content=NO_RESULT,
                        is_error=True,
                    )
                )
        blocks = self._results + self._others
        if blocks:
            self.turns.append(Turn(role="user", content=blocks))
        self._results, self._others, self._pending = [], [], {}

    def _add_late_system(self, blocks: list[Block]) -> None:
        # Hoisting it rewrites the start of the prompt, which is cached. Between tool results it has
        # no place, so that it follows them as text.
        if self._abilities.system is SystemPlace.LEADING:
            self.system += blocks
            return
        after_user = bool(self._results or self._others)
        in_place = self._abilities.system is SystemPlace.IN_PLACE
        if in_place and after_user and not self._pending:
            self._end_user_turn()
            self.turns.append(Turn(role="system", content=blocks))
            return
        last = self.turns[-1] if self.turns and not after_user else None
        if last is not None and last.role == "system" and isinstance(last.content, list):
            last.content += blocks
            return
        for block in blocks:
            block.text = f"<system>\n{block.text}\n</system>"
        self._others += blocks

    def _add_result(self, message: ChatMessage, where: str) -> None:
        key = message.tool_call_id if message.role == "tool" else _function_key(message.name)
        if message.role == "tool" and key is None:
            raise _invalid(f"{where}.tool_call_id", "this field is required")
        waiting = self._pending.get(key or "")
        blocks = self._parts(message, where)
        if not waiting:
            # A result without a call, or a second one, is still something the model should know.
            self._others += [Block(type="text", text=f"[result of tool call {key}]"), *blocks]
            return
        self._results.append(
            Block(type="tool_result", tool_use_id=waiting.pop(0), content=blocks or None)
        )
        if not waiting:
            del self._pending[key or ""]

    def _add_assistant(self, message: ChatMessage, where: str) -> None:
        self._end_user_turn()
        if message.audio not in (msgspec.UNSET, NULL):
            self.dropped.append(f"{where}.audio")
        blocks = self._thinking(message)
        blocks += self._parts(message, where)
        if message.refusal and message.refusal.strip():
            blocks.append(Block(type="text", text=message.refusal))
        calls = list(message.tool_calls or ())
        if message.function_call is not None:
            calls.append(ToolCall(function=message.function_call))
        for index, call in enumerate(calls):
            blocks.append(self._tool_use(call, f"{where}.tool_calls[{index}]"))
        if not blocks:
            return
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == "assistant" and isinstance(last.content, list):
            last.content += blocks
        else:
            self.turns.append(Turn(role="assistant", content=blocks))

    def _tool_use(self, call: ToolCall, where: str) -> Block:
        if call.custom is not None:
            name, text = call.custom.name, encode({"input": call.custom.input or ""})
        elif call.function is not None:
            name, text = call.function.name, _arguments(call.function.arguments)
        else:
            raise _invalid(f"{where}.function", "this field is required")
        if not name:
            raise _invalid(f"{where}.function.name", "this field is required")
        key = call.id if call.id is not None else _function_key(name)
        tool_use_id = legal_id(key)
        while tool_use_id in self._ids:
            tool_use_id = legal_id(f"{tool_use_id}.{len(self._ids)}")
        self._ids.add(tool_use_id)
        self._pending.setdefault(key, []).append(tool_use_id)
        return Block(
            type="tool_use", id=tool_use_id, name=self._plan.upstream_name(name), input=Raw(text)
        )

    def _thinking(self, message: ChatMessage) -> list[Block]:
        """Reasoning that Messages will take back: it must bear a genuine signature."""
        blocks = []
        for detail in message.reasoning_details or ():
            ours = detail.format is not None and detail.format.startswith("anthropic")
            if detail.type == "reasoning.text" and (ours or detail.format is None):
                if _is_genuine(detail.signature):
                    blocks.append(
                        Block(
                            type="thinking",
                            thinking=detail.text or "",
                            signature=detail.signature,
                        )
                    )
            elif detail.type == "reasoning.encrypted" and ours and detail.data:
                blocks.append(Block(type="redacted_thinking", data=detail.data))
        text = message.reasoning_content or message.reasoning
        if not blocks and text and self._abilities.unsigned_thinking:
            blocks.append(Block(type="thinking", thinking=text, signature=""))
        return blocks

    def _texts(self, message: ChatMessage, where: str) -> list[Block]:
        blocks = self._parts(message, where)
        if any(block.type != "text" for block in blocks):
            raise _invalid(f"{where}.content", "a system message holds text only")
        return blocks

    def _parts(self, message: ChatMessage, where: str) -> list[Block]:
        """The content without what is empty: Messages refuses empty text."""
        content = message.content
        if content is None:
            return []
        if isinstance(content, str):
            return [Block(type="text", text=content)] if content.strip() else []
        blocks = []
        for index, part in enumerate(content):
            path = f"{where}.content[{index}]"
            if part.type not in CHAT["content part"]:
                self._unknown.note("chat content part", part.type)
                self.dropped.append(path)
                continue
            block = part_to_block(part, path)
            if block is None:
                continue
            if isinstance(part.prompt_cache_breakpoint, Raw) and self._abilities.anthropic:
                long = b'"ttl"' in bytes(part.prompt_cache_breakpoint)
                block.cache_control = _ONE_HOUR if long else _FIVE_MINUTES
            blocks.append(block)
        return blocks


def _is_genuine(signature: str | None) -> bool:
    """Whether Anthropic may have made it; it refuses what others made, and what is empty."""
    return bool(signature and _BASE64.fullmatch(signature))


def legal_id(text: str) -> str:
    """A tool call's id in the letters Messages allows: the same text always gives the same id."""
    if _LEGAL_ID.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', text)[:48]}_{digest}"


def _function_key(name: str | None) -> str:
    """What stands for an id in the deprecated `function_call`, which has none."""
    return f"call_{name or ''}"


def _arguments(text: str | None) -> bytes:
    """The arguments' own bytes if they are an object; what is none is wrapped into one."""
    if text is None or not text.strip():
        return b"{}"
    data = text.encode()
    try:
        _object_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return encode({"_raw": text})
    return data


def _invalid(field: str, reason: str) -> GatewayError:
    return GatewayError(ErrorCode.FIELD_INVALID, f"{field}: {reason}.", field=field)
