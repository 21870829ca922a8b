"""What a head is made of: a target, a size; and what is told of one that is no head."""

from collections.abc import Mapping
from typing import Protocol, cast
from urllib.parse import unquote_to_bytes

import httptools

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import HEAD_BYTES_MAX, HEADERS_MAX

_VERSIONS = ("1.1", "1.0")

_PERCENT = ord("%")


class _Target(Protocol):
    """What httptools makes of a target; its own types do not say that parts may be missing."""

    host: bytes | None
    path: bytes | None


class _Nowhere(dict[str, str]):
    """Where the trailers of a chunked body go: nothing here has a use for them."""

    def __setitem__(self, name: str, value: str) -> None:
        pass


NOWHERE = _Nowhere()


def check_form(version: str, headers: Mapping[str, str], repeated: int) -> None:
    """`repeated`: headers beyond the first of their name.

    Raises:
        GatewayError: it is of another version, has too many headers, or several hosts: two
            servers in a row could take different ones (RFC 9112 section 3.2).
    """
    if version not in _VERSIONS:
        raise malformed(f"Version {version} is not spoken here")
    if len(headers) + repeated > HEADERS_MAX:
        raise head_too_large()
    if repeated and "," in headers.get("host", ""):
        raise malformed("It has more than one header `host`")


def path_of(url: bytes, headers: dict[str, str]) -> str:
    """The path of a request's target. In absolute form the target names the host, too, and what
    the header says is void (RFC 9112 section 3.2.2).
    """
    if not url.startswith(b"/"):
        try:
            parsed = cast("_Target", httptools.parse_url(url))
        except httptools.HttpParserInvalidURLError:
            return ""
        url = parsed.path or b"/"
        if parsed.host:
            headers["host"] = parsed.host.decode("latin-1")
    path = url.partition(b"?")[0]
    if _PERCENT in path:
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "surrogateescape")


def head_size(url: bytes, headers: dict[str, str]) -> int:
    """About as many bytes as it came in."""
    return len(url) + sum(len(name) + len(value) for name, value in headers.items())


def without_upgrade(method: bytes, url: bytes, headers: dict[str, str]) -> bytes:
    """A head that has been read, to be read again as if it did not have the header `upgrade`."""
    kept = {name: value for name, value in headers.items() if name != "upgrade"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    return method + b" " + url + b" HTTP/1.1\r\n" + lines.encode("latin-1") + b"\r\n"


def malformed(why: str) -> GatewayError:
    """This cannot be served, whoever sent it."""
    return GatewayError(ErrorCode.REQUEST_MALFORMED, f"This is not a request in HTTP/1.1: {why}.")


def head_too_large() -> GatewayError:
    """It is longer than anybody needs."""
    return GatewayError(
        ErrorCode.HEAD_TOO_LARGE,
        f"The request's head is longer than {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} headers.",
    )
