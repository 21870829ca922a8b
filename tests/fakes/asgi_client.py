"""A client that calls an ASGI application in the process, and insists that it keeps the rules."""

import asyncio
import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollbridge.server.inbound import Asgi


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower case, of repeated ones all are kept."""

    status: int
    lines: Sequence[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name; a name that stands twice is a failure of the application."""
        assert len({name for name, _ in self.lines}) == len(self.lines), self.lines
        return dict(self.lines)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def call(
    application: Asgi,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] = b"",
    *,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    query: str = "",
    leaves: bool = False,
) -> Answer:
    """One request to its end. A body of several parts arrives in several messages; with `leaves`
    the client goes away after them, before the end of its body.
    """
    parts = [body] if isinstance(body, bytes) else list(body)
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in pairs],
    }
    pending = [
        {
            "type": "http.request",
            "body": part,
            "more_body": leaves or index < len(parts) - 1,
        }
        for index, part in enumerate(parts)
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        if pending:
            return pending.pop(0)
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return _answer(method, sent)


def _answer(method: str, sent: Sequence[MutableMapping[str, Any]]) -> Answer:
    if not sent:
        return Answer(0, (), b"")
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert all(message["type"] == "http.response.body" for message in rest)
    assert [message["more_body"] for message in rest] == [True] * (len(rest) - 1) + [False]
    for name, value in start["headers"]:
        assert name == name.lower()
        assert all(0x20 <= byte < 0x7F for byte in name + value), (name, value)
    lines = [(name.decode(), value.decode()) for name, value in start["headers"]]
    body = b"".join(message["body"] for message in rest)
    declared = dict(lines).get("content-length")
    if declared is not None and method != "HEAD":
        assert int(declared) == len(body)
    return Answer(start["status"], lines, body)
