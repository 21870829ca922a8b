"""Whether a request body has the shape its protocol gives it: the path of the first wrong member.

A stand-in for the vendors' schema validation, so that what a gateway passes through unread is
still refused by somebody who names the member.
"""

from collections.abc import Iterator
from typing import Any


def wrong_member(body: Any) -> str | None:
    """The path of the first member that is missing or of a wrong type, such as `tools[0].name`."""
    return next(_wrong(body), None)


def _wrong(body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "body"
        return
    if not isinstance(body.get("model"), str):
        yield "model"
    if not isinstance(body.get("stream", False), bool):
        yield "stream"
    for name in ("max_tokens", "max_completion_tokens"):
        if type(body.get(name, 1)) is not int or body.get(name, 1) < 0:
            yield name
    for name in ("system", "stop"):
        if not isinstance(body.get(name, ""), str | list | None):
            yield name
    if not isinstance(body.get("messages"), list):
        yield "messages"
        return
    for index, message in enumerate(body["messages"]):
        yield from _wrong_message(f"messages[{index}]", message)
    if not isinstance(body.get("tools", []), list):
        yield "tools"
        return
    for index, tool in enumerate(body.get("tools", [])):
        yield from _wrong_tool(f"tools[{index}]", tool)


def _wrong_message(where: str, message: Any) -> Iterator[str]:
    if not isinstance(message, dict):
        yield where
        return
    if not isinstance(message.get("role"), str):
        yield f"{where}.role"
    if message.get("role") == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield f"{where}.tool_call_id"
    content = message.get("content")
    if not isinstance(content, str | list | None):
        yield f"{where}.content"
        return
    for index, block in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            yield f"{where}.content[{index}]"
        elif block["type"] == "tool_result" and not isinstance(block.get("tool_use_id"), str):
            yield f"{where}.content[{index}].tool_use_id"


def _wrong_tool(where: str, tool: Any) -> Iterator[str]:
    if not isinstance(tool, dict):
        yield where
    elif tool.get("type") == "function":
        if not isinstance(tool.get("function"), dict):
            yield f"{where}.function"
    elif tool.get("type", "custom") == "custom" and not isinstance(tool.get("input_schema"), dict):
        yield f"{where}.input_schema"
