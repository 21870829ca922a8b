"""JSON objects whose members are exchanged one by one while all others keep their bytes."""

import re

import msgspec
from msgspec import Raw

from tollbridge.wire.codec import decode, decode_answer, encode

NULL = Raw(b"null")

_members = msgspec.json.Decoder(dict[str, Raw])
_MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')


def read_members(body: bytes | Raw) -> dict[str, Raw]:
    """The members of an object that has been decoded before, in order, each as its bytes.

    Raises:
        GatewayError: BODY_INVALID; the names of members that nobody knows are read here first.
    """
    return decode(bytes(body), _members)


def read_answer_members(body: bytes) -> dict[str, Raw]:
    """The same of what an upstream sent.

    Raises:
        GatewayError: UPSTREAM_FAILED.
    """
    return decode_answer(body, _members)


def write_member(members: dict[str, Raw], name: str, value: object) -> None:
    """Set a member in its place; a new one goes to the end."""
    members[name] = Raw(encode(value))


def has_member(members: dict[str, Raw], name: str) -> bool:
    """Whether the member is there and not null."""
    return members.get(name, NULL) != NULL


class ModelMember:
    """The client's name of the model, put into the events of one stream.

    All else in an event stays byte for byte. JSON inside a string has its quotes escaped, so that
    the first bare `"model":"` is the member.
    """

    __slots__ = ("_new", "_old")

    def __init__(self, model: str) -> None:
        self._new = b'"model":%b' % encode(model)
        self._old = b""
        """The member as the upstream wrote it last: it does so in every event."""

    def put(self, data: bytes) -> bytes:
        """The event with the client's name; as it is if it names no model."""
        if not self._old or self._old not in data:
            found = _MODEL.search(data)
            if found is None:
                return data
            self._old = found[0]
        return data.replace(self._old, self._new, 1)
