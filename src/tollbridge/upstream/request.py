"""The bytes of a request's head."""

import functools
import re

from tollbridge.app.ports import UpstreamRequest
from tollbridge.upstream.origin import Origin

OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent"}
)
"""Decided here alone: a second `content-length` is how requests are smuggled."""

LEAVES_BASE = "/.."
"""A path that begins so leaves the base URL's last segment, as in the reference of a page: some
servers have endpoints beside their `/v1`."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def static_lines(origin: Origin, *, keep_alive: bool = True) -> str:
    """The header lines that are the same in every request to this origin.

    No compression is asked for: a compressed event stream is held back by most servers until a
    block is full, and its usage could not be read without unpacking.
    """
    lines = f"host: {origin.authority}\r\nuser-agent: tollbridge\r\naccept-encoding: identity"
    return lines if keep_alive else f"{lines}\r\nconnection: close"


def encode_head(request: UpstreamRequest, prefix: str, static: str, target: str = "") -> bytes:
    """The head up to its last line, which is `content-length` and an empty one (`end_head`).

    `target` is what stands before the path when a proxy wants the whole URL.

    Raises:
        ValueError: naming the header (or the path) that cannot be sent. Its value is not
            repeated, for it may be a secret.
    """
    path = request.path
    if path.startswith(LEAVES_BASE):
        prefix, path = prefix.rpartition("/")[0], path.removeprefix(LEAVES_BASE)
    if not (path.isascii() and path.isprintable() and " " not in path):
        raise ValueError("path: must be printable ASCII without spaces")
    lines = [
        f"{request.method} {target}{prefix}{path} HTTP/1.1",
        static,
    ]
    for name, value in request.headers:
        _check_name(name)
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"header {name}: the value must be one line of printable ASCII")
        lines.append(f"{name}: {value}")
    return "\r\n".join(lines).encode("ascii")


def end_head(head: bytes, body: bytes) -> bytes:
    """The whole head: `content-length` is always there."""
    return b"%b\r\ncontent-length: %d\r\n\r\n" % (head, len(body))


@functools.lru_cache(maxsize=256)
def _check_name(name: str) -> None:
    """Names repeat, so that each is looked at once. What raises is not remembered."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"header {name!r}: the name is not a token")
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"header {name}: is set by the client itself")
