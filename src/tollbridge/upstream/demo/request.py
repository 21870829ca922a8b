"""What the demo model reads of a Messages request: tolerant of all it does not know.

Known members are checked by type; unknown members and unknown block types pass (protocol notes
A.3 to A.5, C.9.21). Complaints begin with the path of the field, as the vendor's do:
`messages.0.content.1.text: ...`.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from tollbridge.upstream.demo import tokens

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T")


class InvalidRequestError(Exception):
    """The request breaks a rule of the protocol; the message may be told to the client."""


class TextBlock(msgspec.Struct):
    """Text of either side."""

    text: str


class ToolUseBlock(msgspec.Struct):
    """A call the assistant made earlier."""

    id: Annotated[str, msgspec.Meta(pattern="^[a-zA-Z0-9_-]+$")]
    name: str
    input: dict[str, msgspec.Raw]


class _ToolResult(msgspec.Struct):
    tool_use_id: str
    content: str | list[msgspec.Raw] | None = None
    is_error: bool | None = None


class ToolResultBlock(NamedTuple):
    """What a tool answered, as text."""

    tool_use_id: str
    text: str
    is_error: bool


class OtherBlock(NamedTuple):
    """A block that is not read: an image, a document, thinking, or a type not known here."""

    kind: str


Block = TextBlock | ToolUseBlock | ToolResultBlock | OtherBlock


class Message(NamedTuple):
    """One entry of `messages`."""

    role: Literal["user", "assistant", "system"]
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """All text of the message, blocks separated by a line break."""
        return "\n".join(block.text for block in self.blocks if isinstance(block, TextBlock))


class Tool(msgspec.Struct):
    """An entry of `tools`. Toolsets have no name and server tools no schema."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")] | None = None
    type: str | None = None
    input_schema: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct):
    """Whether a tool has to be called."""

    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    """Whether thinking is wanted, and shown."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: str | None = None


class Format(msgspec.Struct):
    """A schema that the text has to satisfy."""

    type: str
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct):
    """Of the output, only its format is obeyed."""

    format: Format | None = None


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[msgspec.Raw]


class _CountBody(msgspec.Struct, kw_only=True):
    model: str
    messages: list[_Message]
    system: str | list[msgspec.Raw] | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None


class _MessagesBody(_CountBody, kw_only=True):
    max_tokens: Annotated[int, msgspec.Meta(ge=0)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A request that could be read. `rules.check` says whether it may be answered."""

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    tool_choice: ToolChoice
    thinking: Thinking
    schema: dict[str, Json] | None
    """The text has to be JSON that satisfies it."""
    max_tokens: int | None
    """None: only to be counted."""
    stream: bool
    stop_sequences: tuple[str, ...]
    input_tokens: int


class _Tag(msgspec.Struct):
    type: str


def read(body: bytes, *, counting: bool = False) -> Prompt:
    """Decode a request body.

    Args:
        body: JSON.
        counting: it is for `count_tokens`, which takes no `max_tokens`.

    Raises:
        InvalidRequestError: it is not JSON, or a member is missing or of the wrong type.
    """
    fields = _decode(body, _CountBody if counting else _MessagesBody, "")
    cost = 3
    messages = []
    for index, message in enumerate(fields.messages):
        blocks, spent = _blocks(message.content, f"messages.{index}.content")
        messages.append(Message(message.role, blocks))
        cost += spent + 3
    system, spent = _blocks(fields.system or "", "system")
    cost += spent
    tools = []
    for index, raw in enumerate(fields.tools or ()):
        tools.append(_decode(raw, Tool, f"tools.{index}"))
        cost += tokens.count(_text(raw))
    asks = fields if isinstance(fields, _MessagesBody) else None
    form = fields.output_config.format if fields.output_config else None
    return Prompt(
        model=fields.model,
        system=Message("system", system).text,
        messages=tuple(messages),
        tools=tuple(tools),
        tool_choice=fields.tool_choice or ToolChoice(),
        thinking=fields.thinking or Thinking("disabled"),
        schema=form.schema if form and form.type == "json_schema" else None,
        max_tokens=asks.max_tokens if asks else None,
        stream=bool(asks and asks.stream),
        stop_sequences=tuple(asks.stop_sequences or ()) if asks else (),
        input_tokens=cost,
    )


def _blocks(content: str | list[msgspec.Raw], at: str) -> tuple[tuple[Block, ...], int]:
    """The blocks of a content member, and what they cost in tokens."""
    if isinstance(content, str):
        return ((TextBlock(content),) if content else ()), tokens.count(content)
    blocks: list[Block] = []
    cost = 0
    for index, raw in enumerate(content):
        block, spent = _block(raw, f"{at}.{index}")
        blocks.append(block)
        cost += spent
    return tuple(blocks), cost


def _block(raw: msgspec.Raw, at: str) -> tuple[Block, int]:
    kind = _decode(raw, _Tag, at).type
    if kind == "text":
        text = _decode(raw, TextBlock, at)
        return text, tokens.count(text.text)
    if kind == "tool_use":
        return _decode(raw, ToolUseBlock, at), tokens.count(_text(raw))
    if kind == "tool_result":
        result = _decode(raw, _ToolResult, at)
        blocks, cost = _blocks(result.content or "", f"{at}.content")
        words = [b.text if isinstance(b, TextBlock) else _placeholder(b) for b in blocks]
        return (
            ToolResultBlock(result.tool_use_id, " ".join(words), bool(result.is_error)),
            cost + tokens.count(result.tool_use_id) + 3,
        )
    if kind in {"image", "document"} and b'"text"' not in bytes(raw):
        return OtherBlock(kind), tokens.ATTACHMENT_TOKENS
    return OtherBlock(kind), tokens.count(_text(raw))


def _placeholder(block: Block) -> str:
    return f"[{block.kind}]" if isinstance(block, OtherBlock) else ""


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("utf-8", "replace")


def _decode(data: bytes | msgspec.Raw, to: type[T], at: str) -> T:
    try:
        return msgspec.json.decode(data, type=to)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(_complaint(str(error), at)) from error
    except ValueError as error:
        raise InvalidRequestError(f"The request body is not valid JSON: {error}") from error


_WHERE = re.compile(r"^(.*?)(?: - at `\$?(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$")


def _complaint(message: str, at: str) -> str:
    """`Expected ... - at `$.messages[0].role`` as the vendor says it: path, colon, sentence."""
    found = _WHERE.match(message)
    assert found is not None, "the pattern matches every text"
    sentence, where = found[1], (found[2] or "").replace("[...]", "")
    path = at + re.sub(r"\[(\d+)\]", r".\1", where)
    missing = _MISSING.match(sentence)
    if missing:
        path, sentence = f"{path}.{missing[1]}", "Field required"
    return f"{path.lstrip('.')}: {sentence}" if path else sentence
