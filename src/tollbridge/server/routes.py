"""One table of the data plane: which endpoint a path names, and with which method.

Every endpoint of group `cloudbase` answers under `/v1/ai/cloudbase/...` and at the root. Chat and
Messages clients disagree on whether their base URL ends in `/v1`, so both spellings are served
(`cloudbase.md` 1.2).
"""

import enum
import functools
import re
from typing import NamedTuple

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import OPERATOR_GROUP
from tollbridge.units import PATH_CHARS_MAX, PATHS_MAX

GROUP_PREFIX = "/v1/ai/"
_SLASHES = re.compile("//+")
_RECEIPT = re.compile(r"(?:/v1/ai)?/receipts/([\w-]{1,64})", re.ASCII)


class Endpoint(enum.Enum):
    """What the data plane can do."""

    __hash__ = object.__hash__  # that of `Enum` is written in Python, and a key is looked up often

    MESSAGES = enum.auto()
    COUNT_TOKENS = enum.auto()
    CHAT = enum.auto()
    MODELS = enum.auto()
    RECEIPT = enum.auto()
    HELLO = enum.auto()
    LIVE = enum.auto()
    READY = enum.auto()
    METRICS = enum.auto()


PROTOCOLS: dict[Endpoint, Protocol] = {
    Endpoint.MESSAGES: "messages",
    Endpoint.COUNT_TOKENS: "messages",
    Endpoint.CHAT: "chat",
}
"""The protocol in which an endpoint's errors are told; elsewhere the headers decide."""

IN_GROUP: dict[str, tuple[Endpoint, str]] = {
    "messages": (Endpoint.MESSAGES, "POST"),
    "v1/messages": (Endpoint.MESSAGES, "POST"),
    "messages/count_tokens": (Endpoint.COUNT_TOKENS, "POST"),
    "v1/messages/count_tokens": (Endpoint.COUNT_TOKENS, "POST"),
    "chat/completions": (Endpoint.CHAT, "POST"),
    "v1/chat/completions": (Endpoint.CHAT, "POST"),
    "models": (Endpoint.MODELS, "GET"),
    "v1/models": (Endpoint.MODELS, "GET"),
}
"""Below `/v1/ai/<GROUP>/`, and at the root."""
_SERVED = ", ".join(name for name in IN_GROUP if not name.startswith("v1/"))

AT_ROOT: dict[str, tuple[Endpoint, str]] = {
    **IN_GROUP,
    "api/hello": (Endpoint.HELLO, "GET"),
    "healthz": (Endpoint.LIVE, "GET"),
    "readyz": (Endpoint.READY, "GET"),
    "metrics": (Endpoint.METRICS, "GET"),
}


class MethodError(GatewayError):
    """The path is served, but not with this method. `allowed` is what the `allow` header says."""

    def __init__(self, path: str, method: str, right: str) -> None:
        super().__init__(
            ErrorCode.METHOD_NOT_ALLOWED, f"{path[:200]!r} is asked with {right}, not {method}."
        )
        self.allowed = "GET, HEAD, OPTIONS" if right == "GET" else f"{right}, OPTIONS"


class Route(NamedTuple):
    """Where a request goes. `name` is what `GET /models/<name>` or `/receipts/<name>` asks for."""

    endpoint: Endpoint
    group: str
    name: str = ""


def route(method: str, path: str) -> Route:
    """The route of a request. HEAD is served as GET; slashes too many are forgiven.

    Raises:
        GatewayError: ROUTE_UNKNOWN.
        MethodError: METHOD_NOT_ALLOWED.
    """
    if "//" in path or path.endswith("/"):
        path = _SLASHES.sub("/", path).rstrip("/")
    found = _find(path) if len(path) <= PATH_CHARS_MAX else _look_up(path)
    if found is None:
        raise GatewayError(
            ErrorCode.ROUTE_UNKNOWN,
            f"There is nothing at {path[:200]!r}. A client's base URL ends in"
            f" /v1/ai/{OPERATOR_GROUP} (Anthropic and OpenAI SDKs alike); below it are {_SERVED}.",
        )
    place, allowed = found
    if method != allowed and not (method == "HEAD" and allowed == "GET"):
        raise MethodError(path, method, allowed)
    return place


def _look_up(path: str) -> tuple[Route, str] | None:
    # Receipts belong to the environment, not to a group.
    receipt = _RECEIPT.fullmatch(path)
    if receipt is not None:
        return Route(Endpoint.RECEIPT, OPERATOR_GROUP, receipt[1]), "GET"
    if path.startswith(GROUP_PREFIX):
        group, _, rest = path[len(GROUP_PREFIX) :].partition("/")
        table = IN_GROUP
    else:
        group, rest, table = OPERATOR_GROUP, path[1:], AT_ROOT
    row, name = table.get(rest), ""
    if row is None:
        # The name of a model may hold slashes.
        listing, _, name = rest.partition("models/")
        row = IN_GROUP.get(f"{listing}models") if name else None
    if row is None:
        return None
    endpoint, method = row
    return Route(endpoint, group, name), method


_find = functools.lru_cache(PATHS_MAX)(_look_up)
