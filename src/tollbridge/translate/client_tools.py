"""Tools whose schema Anthropic's API knows and the request leaves out (protocol notes A.5).

The client runs them, so that a model of another vendor can call them too, once it is told their
schema. Types carry a date; the schema follows from what stands before it.
"""

import re

from msgspec import Raw

from tollbridge.wire.codec import encode

_DATED = re.compile(r"_\d{8}$")
_TEXT = {"type": "string"}
_LINE = {"type": "integer"}
_RANGE = {"type": "array", "items": _LINE}


def _commands(names: list[str], **properties: object) -> Raw:
    command = {"type": "string", "enum": names}
    members = {"command": command, **properties}
    return Raw(encode({"type": "object", "properties": members, "required": ["command"]}))


_BASH = Raw(
    encode({"type": "object", "properties": {"command": _TEXT, "restart": {"type": "boolean"}}})
)
_EDITOR = _commands(
    ["view", "create", "str_replace", "insert"],
    path=_TEXT, file_text=_TEXT, old_str=_TEXT, new_str=_TEXT, insert_line=_LINE,
    insert_text=_TEXT, view_range=_RANGE,
)  # fmt: skip
_MEMORY = _commands(
    ["view", "create", "str_replace", "insert", "delete", "rename"],
    path=_TEXT, file_text=_TEXT, old_str=_TEXT, new_str=_TEXT, insert_line=_LINE,
    insert_text=_TEXT, old_path=_TEXT, new_path=_TEXT, view_range=_RANGE,
)  # fmt: skip

_TOOLS = {
    "bash": ("Run a command in a persistent shell, or restart it.", _BASH),
    "text_editor": ("View, create and edit text files.", _EDITOR),
    "memory": ("Keep notes as files below /memories for later.", _MEMORY),
}


def client_tool(tool_type: str) -> tuple[str, Raw] | None:
    """Description and schema of a tool type such as `bash_20250124`; None: not one of them."""
    return _TOOLS.get(_DATED.sub("", tool_type))
