"""What of a Messages request is not known: noted, not refused (protocol notes C.9.21)."""

import re
from collections.abc import Iterable

import msgspec

from tollbridge.translate.dispositions import MESSAGES
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.units import KIB
from tollbridge.wire.codec import decode
from tollbridge.wire.messages.requests import MessagesRequest

LOOK_BYTES_MAX = 64 * KIB
"""A longer body is not read a second time: a field that is new comes with short ones too."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLOCK = "messages.content."
_DATE = re.compile(r"_\d{8}$")


def note_request(body: bytes, request: MessagesRequest, unknown: UnknownNames) -> None:
    """Note fields of the request and kinds of tools. `body` has been decoded before."""
    for name in decode(body, _members) if len(body) <= LOOK_BYTES_MAX else ():
        if name not in MESSAGES["request field"]:
            unknown.note("messages request field", name)
    for tool in request.tools or ():
        kind = _DATE.sub("", tool.type or "custom")
        if kind not in MESSAGES["tool kind"]:
            unknown.note("messages tool kind", kind)


def note_dropped(dropped: Iterable[str], unknown: UnknownNames) -> None:
    """Note those of the dropped blocks that nobody knows; the translation has met them all."""
    for name in dropped:
        kind = name.removeprefix(_BLOCK)
        if kind != name and kind not in MESSAGES["content block"]:
            unknown.note("messages content block", kind)
