"""The turns of a Messages conversation as Chat messages (protocol notes C.3, C.9.1, C.9.7).

Chat has one list of messages with stricter neighbours: a turn's tool results are messages of their
own that follow the calls at once, an assistant has one text and one list of calls, and a system
message may have to stand first. Turns are taken one by one; a message is written out when the role
changes, so that neighbours of one role merge.
"""

import msgspec
from msgspec import Raw, UnsetType

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.blocks_to_text import document_text, search_result_text, server_tool_text
from tollbridge.translate.dialects import Dialect, Prefill, SystemPlace
from tollbridge.translate.signatures import hidden_thinking, is_own_signature, upstream_tool_id
from tollbridge.translate.tables import PDF_BASE64_MAGIC, image_media_type
from tollbridge.translate.tool_names import ToolNames
from tollbridge.wire.chat.requests import (
    ChatMessage,
    File,
    FunctionCall,
    ImageUrl,
    Part,
    ReasoningDetail,
    ToolCall,
)
from tollbridge.wire.messages.requests import Block, Source, Turn

ERROR_MARK = "[tool error] "
"""Chat has no word for a failed tool; the model is told in the text of the result."""
CONTINUE = "(continue)"
"""A user turn where the model is to speak again and the client has none."""
SILENT_BLOCKS = frozenset({"fallback", "mcp_tool_listing", "container_upload"})
"""Blocks that say nothing to another vendor's model."""


class Conversation:
    """Chat messages that grow turn by turn; `finish` gives them all."""

    def __init__(self, dialect: Dialect, names: ToolNames, seal_key: bytes) -> None:
        self.leading: list[str] = []
        """Texts of the system message that stands first."""
        self.dropped: dict[str, None] = {}
        """Names of what could not be said, in order and once each."""
        self.continues = False
        self.prefill = ""
        """The text that the upstream is asked to continue."""
        """The last message is to be continued by the upstream's own switch."""
        self.has_tool_messages = False
        self._ends_with_system = False
        self._dialect = dialect
        self._names = names
        self._seal_key = seal_key
        self._messages: list[ChatMessage] = []
        self._role = ""
        self._results: dict[str, ChatMessage] = {}
        self._images: list[Part] = []
        self._parts: list[Part] = []
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
        self._thoughts: list[ReasoningDetail] = []

    def add(self, index: int, turn: Turn) -> None:
        """Take the turn that stands at `index` of the request's `messages`.

        Raises:
            GatewayError: FIELD_INVALID, FIELD_MISSING or FIELD_UNSUPPORTED with the path of what
                cannot be said.
        """
        self._ends_with_system = turn.role == "system"
        if turn.role == "system":
            self._add_system(turn)
            return
        if turn.role not in ("user", "assistant"):
            path = f"messages[{index}].role"
            message = f"{path}: must be user, assistant or system, not {turn.role[:40]!r}."
            raise GatewayError(ErrorCode.FIELD_INVALID, message, field=path)
        if isinstance(turn.content, str) or not turn.content:
            self._become(turn.role)
            self._add_text(turn.content if isinstance(turn.content, str) else "")
            return
        for place, block in enumerate(turn.content):
            if block.type != "compaction":
                self._become(turn.role)
            self._add_block(block, (index, place))

    def finish(self) -> list[ChatMessage]:
        """All messages, the leading system message first."""
        if self._ends_with_system and self._role == "assistant":
            # Whatever became of the system message, the model is asked for a turn of its own.
            self._become("user")
            self._add_text(CONTINUE)
        if self._role == "assistant" and self._text and not self._calls:
            self._finish_prefill()
        self._flush()
        if self.leading:
            system = ChatMessage(role="system", content="\n\n".join(self.leading))
            self._messages.insert(0, system)
        return self._messages

    def _add_system(self, turn: Turn) -> None:
        for block in turn.content if isinstance(turn.content, list) else ():
            if block.type != "text":
                self.dropped[f"messages.content.{block.type}"] = None
        text = system_text(turn.content)
        if not text:
            return
        place = self._dialect.system
        first = not self._role
        if first or place is SystemPlace.LEADING:
            self.leading.append(text)
        elif place is SystemPlace.IN_PLACE and not (self._role == "assistant" and self._calls):
            self._become("system")
            self._messages.append(ChatMessage(role="system", content=text))
        else:
            # Also between calls and their results, where no other message may stand.
            self._become("user")
            self._add_text(f"<system-reminder>\n{text}\n</system-reminder>")

    def _add_text(self, text: str) -> None:
        if not text:
            return
        if self._role == "assistant":
            self._text.append(text)
        else:
            self._parts.append(Part(type="text", text=text))

    def _add_block(self, block: Block, where: tuple[int, int]) -> None:
        kind = block.type
        if kind == "text":
            self._add_text(block.text or "")
        elif kind == "tool_use":
            self._add_call(block, where)
        elif kind == "tool_result":
            self._add_result(block, where)
        elif kind == "thinking":
            self._add_thinking(block)
        elif kind == "redacted_thinking":
            self._thoughts.append(ReasoningDetail(type="reasoning.encrypted", data=block.data))
        elif kind == "image":
            self._parts.append(image_part(block, where))
        elif kind == "document":
            self._add_document(block, where)
        elif kind == "search_result":
            self._add_text(search_result_text(block))
        elif kind == "compaction":
            self._add_compaction(block)
        elif kind in ("server_tool_use", "mcp_tool_use") or kind.endswith("_tool_result"):
            self._add_text(server_tool_text(block))
        elif kind not in SILENT_BLOCKS:
            self.dropped[f"messages.content.{kind}"] = None

    def _add_call(self, block: Block, where: tuple[int, int]) -> None:
        if not block.id or not block.name:
            raise _missing(where, "id" if not block.id else "name")
        function = FunctionCall(
            name=self._names.shorten(block.name), arguments=_arguments(block.input)
        )
        call = ToolCall(id=upstream_tool_id(block.id), type="function", function=function)
        self._calls.append(call)

    def _add_result(self, block: Block, where: tuple[int, int]) -> None:
        if not block.tool_use_id:
            raise _missing(where, "tool_use_id")
        content = block.content or ""
        lines: list[str] = []
        images: list[Part] = []
        if isinstance(content, str):
            lines.append(content)
        else:
            for inner in content if isinstance(content, list) else [content]:
                if inner.type == "image":
                    images.append(image_part(inner, where))
                elif text := self._result_text(inner):
                    lines.append(text)
        text = "\n".join(lines)
        call_id = upstream_tool_id(block.tool_use_id)
        if images:
            text = text or "(The result is an image; it follows.)"
            note = f"Images of the result of tool call {call_id}:"
            self._images += [Part(type="text", text=note), *images]
        if block.is_error:
            text = ERROR_MARK + text
        if earlier := self._results.get(call_id):
            # Chat wants exactly one message per call.
            earlier.content = f"{earlier.content}\n{text}"
        else:
            message = ChatMessage(role="tool", tool_call_id=call_id, content=text)
            self._results[call_id] = message
            self.has_tool_messages = True

    def _result_text(self, block: Block) -> str:
        if block.type == "text":
            return block.text or ""
        if block.type == "tool_reference":
            return f"The tool {block.tool_name} is now available."
        if block.type == "search_result":
            return search_result_text(block)
        if block.type == "document":
            text = document_text(block)
            if text is None:
                self.dropped["messages.content.document"] = None
                return f"(A document that this model cannot read: {block.title or 'untitled'})"
            return text
        self.dropped[f"messages.content.{block.type}"] = None
        return ""

    def _add_thinking(self, block: Block) -> None:
        signature = block.signature or ""
        if is_own_signature(signature):
            text = block.thinking or hidden_thinking(self._seal_key, signature)
            self._thoughts.append(ReasoningDetail(type="reasoning.text", text=text))
        else:
            detail = ReasoningDetail(type="reasoning.text", text=block.thinking or "")
            detail.signature = signature or None
            self._thoughts.append(detail)

    def _add_document(self, block: Block, where: tuple[int, int]) -> None:
        source = block.source
        if isinstance(source, Source) and source.type == "file":
            raise _unsupported(where, "files by id are kept by Anthropic; send the content")
        text = document_text(block)
        if text is not None:
            self._add_text(text)
        elif self._dialect.files and isinstance(source, Source) and _is_pdf(source):
            data = f"data:application/pdf;base64,{source.data}"
            file = File(file_data=data, filename=block.title or "document.pdf")
            self._parts.append(Part(type="file", file=file))
        else:
            self.dropped["messages.content.document"] = None
            address = source.url if isinstance(source, Source) and source.url else "no text"
            title = block.title or "untitled"
            self._add_text(f"(A document that this model cannot read: {title}, {address})")

    def _add_compaction(self, block: Block) -> None:
        """The summary is the user's, in whosever turn it stands."""
        if isinstance(block.content, str) and block.content:
            self._become("user")
            self._add_text(f"Summary of the conversation so far:\n{block.content}")

    def _become(self, role: str) -> None:
        if role != self._role:
            self._flush()
            self._role = role

    def _flush(self) -> None:
        if self._role == "user":
            self._flush_user()
        elif self._role == "assistant":
            self._flush_assistant()

    def _flush_user(self) -> None:
        self._messages += self._results.values()
        parts = self._images + self._parts
        if parts or not self._results:
            content: str | list[Part] = parts
            if all(part.type == "text" for part in parts):
                # Servers differ in what they put between text parts; this is the same everywhere.
                content = "\n\n".join(part.text or "" for part in parts) or "(empty)"
            self._messages.append(ChatMessage(role="user", content=content))
        self._results = {}
        self._images = []
        self._parts = []

    def _flush_assistant(self) -> None:
        text = "".join(self._text)
        message = ChatMessage(
            role="assistant",
            content=text if text or not self._calls else None,
            tool_calls=self._calls or None,
        )
        self._add_reasoning(message)
        self._messages.append(message)
        self._text = []
        self._calls = []
        self._thoughts = []

    def _add_reasoning(self, message: ChatMessage) -> None:
        field, turns = self._dialect.reasoning_field, self._dialect.reasoning_turns
        if field is None or turns == "never" or (turns == "tool turns" and not self._calls):
            return
        if field == "reasoning_details":
            message.reasoning_details = self._thoughts or None
            return
        text = "".join(detail.text or "" for detail in self._thoughts)
        if text or turns == "always":
            setattr(message, field, text)

    def _finish_prefill(self) -> None:
        prefill = self._dialect.prefill
        if prefill is Prefill.NONE:
            text = "".join(self._text)
            self._text = []
            self._thoughts = []
            self._role = ""  # the turn becomes an instruction; it is not written out
            self.dropped["prefill"] = None
            self._extend_user(
                "Continue the answer that begins with the following text, without repeating it:\n"
                + text
            )
            return
        self._flush()
        self._role = ""
        content = self._messages[-1].content
        self.prefill = content if isinstance(content, str) else ""
        self.continues = prefill is Prefill.CONTINUE_FINAL
        if prefill is Prefill.PARTIAL:
            self._messages[-1].partial = True

    def _extend_user(self, text: str) -> None:
        last = self._messages[-1] if self._messages else None
        if last and last.role == "user" and isinstance(last.content, str):
            last.content = f"{last.content}\n\n{text}"
        else:
            self._messages.append(ChatMessage(role="user", content=text))


def system_text(content: str | list[Block]) -> str:
    """The text of system content; blocks are set apart, so that prompts do not run together."""
    if isinstance(content, str):
        return content
    return "\n\n".join(block.text for block in content if block.type == "text" and block.text)


def image_part(block: Block, where: tuple[int, int]) -> Part:
    """An image by address or as a data URI.

    Raises:
        GatewayError: FIELD_UNSUPPORTED for an image that only Anthropic's file store has.
    """
    source = block.source
    if isinstance(source, Source):
        if source.type == "base64" and source.data:
            media_type = image_media_type(source.data, source.media_type or "image/png")
            uri = f"data:{media_type};base64,{source.data}"
            return Part(type="image_url", image_url=ImageUrl(url=uri))
        if source.type == "url" and source.url:
            return Part(type="image_url", image_url=ImageUrl(url=source.url))
    raise _unsupported(where, "this model's server takes images as base64 or by address")


def _arguments(value: Raw | UnsetType) -> str:
    """Tool input as compact JSON text in the order of its keys.

    Re-sorted keys would miss the upstream's prefix cache.
    """
    if not isinstance(value, Raw):
        return "{}"
    text = msgspec.json.format(value, indent=-1)
    if not text.startswith(b"{"):
        # Input that an output limit had cut is kept as text; templates want an object.
        text = b'{"_raw":%s}' % text
    return text.decode()


def _is_pdf(source: Source) -> bool:
    return source.type == "base64" and (source.data or "").startswith(PDF_BASE64_MAGIC)


def _missing(where: tuple[int, int], name: str) -> GatewayError:
    path = f"messages[{where[0]}].content[{where[1]}].{name}"
    return GatewayError(ErrorCode.FIELD_MISSING, f"{path}: this field is required.", field=path)


def _unsupported(where: tuple[int, int], reason: str) -> GatewayError:
    path = f"messages[{where[0]}].content[{where[1]}].source"
    return GatewayError(ErrorCode.FIELD_UNSUPPORTED, f"{path}: {reason}.", field=path)
