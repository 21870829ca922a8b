"""Tools and the choice among them, from Messages to Chat (protocol notes C.1, C.9.12, C.9.13)."""

from msgspec import Raw

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.client_tools import client_tool
from tollbridge.translate.dialects import Dialect
from tollbridge.translate.schemas import clean_schema
from tollbridge.translate.tables import CHOICE_TO_CHAT
from tollbridge.translate.tool_names import ToolNames
from tollbridge.wire.chat.requests import (
    ChatRequest,
    ChatTool,
    Function,
    NamedTool,
    ToolChoiceObject,
)
from tollbridge.wire.messages.requests import MessagesRequest, Tool, ToolChoice


def write_tools(
    request: ChatRequest,
    asked: MessagesRequest,
    dialect: Dialect,
    names: ToolNames,
    *,
    has_tool_messages: bool,
) -> list[str]:
    """Write the tools and the choice into `request`; gives what had to be dropped.

    Raises:
        GatewayError: FIELD_UNSUPPORTED if the choice forces a tool that Anthropic's servers run,
            FIELD_INVALID for a choice that does not exist or names no tool, FIELD_MISSING for a
            tool of the client without a name or an input schema.
    """
    tools: list[ChatTool] = []
    dropped: list[str] = []
    for index, tool in enumerate(asked.tools or ()):
        if tool.type is None or tool.type == "custom":
            _check_custom(tool, index)
        function = _function(tool, dialect, names)
        if function is None:
            dropped.append(f"tools.{tool.type}")
        else:
            tools.append(ChatTool(type="function", function=function))
    choice = asked.tool_choice
    if choice is not None:
        _check_choice(choice, asked.tools or [], tools, names)
    if choice is not None and choice.type == "none" and not has_tool_messages:
        return dropped  # nothing to call and nothing in the history that needs the tools explained
    if not tools:
        return dropped
    request.tools = tools
    if choice is not None:
        request.tool_choice = _choice(choice, names)
        if isinstance(request.tool_choice, ToolChoiceObject) and not dialect.named_tool_choice:
            named = request.tool_choice.function
            request.tools = [tool for tool in tools if _is_named(tool, named)]
            request.tool_choice = "required"
        if choice.disable_parallel_tool_use:
            if dialect.parallel_tool_calls:
                request.parallel_tool_calls = False
            else:
                dropped.append("tool_choice.disable_parallel_tool_use")
    return dropped


def _check_custom(tool: Tool, index: int) -> None:
    """A tool of the client's own says its name and what it takes."""
    missing = "name" if not tool.name else "input_schema"
    if missing == "name" or not isinstance(tool.input_schema, Raw):
        path = f"tools[{index}].{missing}"
        raise GatewayError(ErrorCode.FIELD_MISSING, f"{path}: this field is required.", field=path)
    if not bytes(tool.input_schema).lstrip().startswith(b"{"):
        raise _invalid(f"tools[{index}].input_schema", "must be an object")


def _function(tool: Tool, dialect: Dialect, names: ToolNames) -> Function | None:
    """The tool as a function; None if the client does not run it, or nobody knows its schema."""
    schema = tool.input_schema
    description = tool.description
    if not isinstance(schema, Raw):
        known = client_tool(tool.type or "")
        if known is None:
            return None
        text, schema = known
        description = description or text
    if not tool.name:
        return None
    return Function(
        name=names.shorten(tool.name),
        description=description,
        parameters=clean_schema(schema, dialect.schema),
        strict=tool.strict or None,
    )


def _check_choice(
    choice: ToolChoice, asked: list[Tool], tools: list[ChatTool], names: ToolNames
) -> None:
    if choice.type == "tool":
        if not choice.name:
            raise _invalid("tool_choice.name", "this field is required")
        short = names.shorten(choice.name)
        if any(tool.function and tool.function.name == short for tool in tools):
            return
        if any(tool.name == choice.name for tool in asked):
            raise _forced(choice.name)
        raise _invalid("tool_choice.name", f"there is no tool {choice.name[:130]!r} in tools")
    if choice.type not in CHOICE_TO_CHAT:
        raise _invalid(
            "tool_choice.type", f"must be auto, any, tool or none, not {choice.type[:40]!r}"
        )
    if choice.type == "any" and asked and not tools:
        raise _forced("any")


def _choice(choice: ToolChoice, names: ToolNames) -> str | ToolChoiceObject:
    if choice.type == "tool":
        named = NamedTool(name=names.shorten(choice.name or ""))
        return ToolChoiceObject(type="function", function=named)
    return CHOICE_TO_CHAT[choice.type]


def _is_named(tool: ChatTool, named: NamedTool | None) -> bool:
    return bool(tool.function and named and tool.function.name == named.name)


def _forced(name: str) -> GatewayError:
    return GatewayError(
        ErrorCode.FIELD_UNSUPPORTED,
        f"tool_choice: {name[:130]!r} forces a tool that Anthropic's servers run; this model's"
        " server cannot.",
        field="tool_choice",
    )


def _invalid(path: str, reason: str) -> GatewayError:
    return GatewayError(ErrorCode.FIELD_INVALID, f"{path}: {reason}.", field=path)
