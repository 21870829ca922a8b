"""JSON objects whose members are exchanged one by one while all others keep their bytes."""

import re

import msgspec
from msgspec import Raw

from tollbridge.wire.codec import encode

NULL = Raw(b"null")

_members = msgspec.json.Decoder(dict[str, Raw])
_MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')


def read_members(body: bytes) -> dict[str, Raw]:
    """The members of an object that has been decoded before, in order, each as its bytes."""
    return _members.decode(body)


def write_member(members: dict[str, Raw], name: str, value: object) -> None:
    """Set a member in its place; a new one goes to the end."""
    members[name] = Raw(encode(value))


def has_member(members: dict[str, Raw], name: str) -> bool:
    """Whether the member is there and not null."""
    return members.get(name, NULL) != NULL


def rename_model(data: bytes, model: str) -> bytes:
    """An event with another model name, all else byte for byte.

    JSON inside a string has its quotes escaped, so that the first bare `"model":"` is the member.
    """
    member = b'"model":%b' % encode(model)
    return _MODEL.sub(lambda _: member, data, count=1)
