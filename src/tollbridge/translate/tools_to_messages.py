"""Chat's tools and their choice, as Messages has them (protocol notes A.5, B.2, C.2)."""

import hashlib
import re

import msgspec
from msgspec import Raw

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.dialects import SchemaLevel
from tollbridge.translate.schemas import clean_schema
from tollbridge.translate.schemas_to_messages import tool_schema
from tollbridge.translate.tables import CHOICE_TO_MESSAGES
from tollbridge.wire.chat.requests import (
    ChatRequest,
    CustomTool,
    Function,
    NamedTool,
    ToolChoiceObject,
)
from tollbridge.wire.messages.requests import Tool, ToolChoice

FREE_TEXT = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
"""The schema of a custom tool, whose input is free text."""

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class ToolPlan:
    """The tools of one request, and how calls of them are told to the client."""

    __slots__ = ("_client_names", "bare", "choice", "custom", "dropped", "legacy", "tools")

    def __init__(self, *, bare: bool = False) -> None:
        self.bare = bare
        """Schemas go without `pattern` and `format`."""
        self.tools: list[Tool] = []
        self.choice: ToolChoice | None = None
        self.custom: set[str] = set()
        """Names, as the client gave them, of tools whose input is free text."""
        self.legacy = False
        """Whether the client speaks of `functions`, and so expects `function_call`."""
        self.dropped: list[str] = []
        self._client_names: dict[str, str] = {}

    def upstream_name(self, name: str) -> str:
        """A name in the letters and length Messages allows; the same for the same name."""
        if _LEGAL_NAME.fullmatch(name):
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        short = f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:100]}_{digest}"
        self._client_names[short] = name
        return short

    def client_name(self, name: str) -> str:
        """The client's own name of a tool that the upstream calls."""
        return self._client_names.get(name, name)


def plan_tools(request: ChatRequest, *, bare: bool = False) -> ToolPlan:
    """Translate `tools`, `functions`, `tool_choice`, `function_call` and `parallel_tool_calls`.

    Raises:
        GatewayError: FIELD_INVALID for a tool without a definition, for a schema that is none and
            for a forced tool that is not offered.
    """
    plan = ToolPlan(bare=bare)
    names: list[str] = []
    for index, entry in enumerate(request.tools or ()):
        where = f"tools[{index}]"
        if entry.type == "custom" and entry.custom is not None:
            plan.custom.add(entry.custom.name)
            names.append(entry.custom.name)
            plan.tools.append(_custom(plan, entry.custom))
        elif entry.function is not None:
            names.append(entry.function.name)
            plan.tools.append(_function(plan, entry.function, f"{where}.function"))
        elif entry.type in ("function", "custom"):
            raise _invalid(f"{where}.{entry.type}", "this field is required")
        else:
            plan.dropped.append(where)
    if not request.tools and request.functions:
        plan.legacy = True
        for index, function in enumerate(request.functions):
            names.append(function.name)
            plan.tools.append(_function(plan, function, f"functions[{index}]"))
        plan.choice = _legacy_choice(plan, request.function_call, names)
    elif request.tool_choice is not None:
        plan.choice = _choice(plan, request.tool_choice, names)
    if (request.parallel_tool_calls is False or plan.legacy) and plan.tools:
        plan.choice = plan.choice or ToolChoice(type="auto")
        if plan.choice.type != "none":
            plan.choice.disable_parallel_tool_use = True
    if not plan.tools:
        plan.choice = None
    return plan


def _function(plan: ToolPlan, function: Function, where: str) -> Tool:
    try:
        schema = tool_schema(function.parameters)
        if plan.bare:
            schema = clean_schema(schema, SchemaLevel.BARE)
    except msgspec.DecodeError:
        raise _invalid(f"{where}.parameters", "this is not the schema of an object") from None
    return Tool(
        name=plan.upstream_name(function.name),
        description=function.description,
        input_schema=schema,
        strict=function.strict or None,
    )


def _custom(plan: ToolPlan, custom: CustomTool) -> Tool:
    description = custom.description or ""
    if isinstance(custom.format, Raw) and b'"grammar"' in bytes(custom.format):
        # The grammar cannot be enforced here; the model can still read it.
        description += f"\nThe input must match this format: {bytes(custom.format).decode()}"
    return Tool(
        name=plan.upstream_name(custom.name),
        description=description.strip() or None,
        input_schema=FREE_TEXT,
    )


def _choice(plan: ToolPlan, choice: str | ToolChoiceObject, names: list[str]) -> ToolChoice:
    if isinstance(choice, str):
        if choice not in CHOICE_TO_MESSAGES:
            raise _invalid("tool_choice", f"unknown choice {choice!r}")
        if choice == "required" and not plan.tools:
            raise _invalid("tool_choice", "a tool is required, but none is offered")
        return ToolChoice(type=CHOICE_TO_MESSAGES[choice])
    if choice.allowed_tools is not None:
        allowed = {
            plan.upstream_name(named.name)
            for tool in choice.allowed_tools.tools
            if (named := tool.function or tool.custom)
        }
        plan.tools = [tool for tool in plan.tools if tool.name in allowed]
        return _choice(plan, choice.allowed_tools.mode, names)
    named = choice.function or choice.custom
    if named is None:
        raise _invalid("tool_choice", f"unknown choice {choice.type!r}")
    return _forced(plan, named, names, "tool_choice")


def _legacy_choice(
    plan: ToolPlan, choice: str | NamedTool | None, names: list[str]
) -> ToolChoice | None:
    if isinstance(choice, NamedTool):
        return _forced(plan, choice, names, "function_call")
    if choice is None:
        return None
    if choice not in ("auto", "none"):
        raise _invalid("function_call", f"unknown choice {choice!r}")
    return ToolChoice(type=CHOICE_TO_MESSAGES[choice])


def _forced(plan: ToolPlan, named: NamedTool, names: list[str], where: str) -> ToolChoice:
    if named.name not in names:
        raise _invalid(where, f"the tool {named.name!r} is not offered")
    return ToolChoice(type="tool", name=plan.upstream_name(named.name))


def _invalid(field: str, reason: str) -> GatewayError:
    return GatewayError(ErrorCode.FIELD_INVALID, f"{field}: {reason}.", field=field)
