"""Plain HTTP calls for tests that look at status, headers and body themselves."""

import contextlib
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 30


@dataclass(frozen=True)
class Answer:
    """One whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def call(
    url: str,
    body: object = None,
    *,
    key: str = "",
    method: str = "POST",
    raw: bytes | None = None,
    **headers: str,
) -> Answer:
    """Send one request on a connection of its own; `raw` bytes take the place of a JSON body."""
    parts = urlsplit(url)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        sent["authorization"] = f"Bearer {key}"
    payload = raw if raw is not None else None if body is None else json.dumps(body).encode()
    if payload is not None:
        sent.setdefault("content-type", "application/json")
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT_S)
    try:
        # A body that is refused early is not read to its end; the refusal can still be read.
        with contextlib.suppress(BrokenPipeError):
            connection.request(method, parts.path, payload, sent)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, told, answer.read())
    finally:
        connection.close()


def prompt(text: str, model: str, **more: object) -> dict[str, object]:
    """The smallest body that both protocols take."""
    return {
        "model": model,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": text}],
        **more,
    }
