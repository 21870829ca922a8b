"""What of a Messages request the vocabulary does not know: counted, not refused (C.9.21)."""

import re

from tollbridge.translate.dispositions import MESSAGES
from tollbridge.translate.members import read_members
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.messages.requests import MessagesRequest

_DATE = re.compile(r"_\d{8}$")


def note_request(body: bytes, request: MessagesRequest, unknown: UnknownNames) -> None:
    """Note fields of the request and kinds of tools; unknown blocks are met on their way."""
    for name in read_members(body):
        if name not in MESSAGES["request field"]:
            unknown.note("messages request field", name)
    for tool in request.tools or ():
        kind = _DATE.sub("", tool.type or "custom")
        if kind not in MESSAGES["tool kind"]:
            unknown.note("messages tool kind", kind)
