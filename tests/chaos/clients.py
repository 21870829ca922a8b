"""Clients that judge what they see as an SDK would: a whole answer, a true error, or nothing."""

import asyncio
import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from tests.e2e.gateway import Gateway
from tests.fakes.wire_client import AnswerStream

TIMEOUT_S = 15.0
PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}
ROOT_PATH = "/v1/ai/cloudbase"


@dataclass(frozen=True)
class Seen:
    """One answer, judged."""

    ending: Literal["whole", "error", "refused"]
    """`error`: told inside the stream; `refused`: told by the status."""
    status: int
    request_id: str
    text: str
    """Of the answer, as far as it came."""
    tokens: int
    """Output, as reported to the client; 0: not told."""


class Talk:
    """One connection to the gateway, with one request on it."""

    def __init__(self, gateway: Gateway, protocol: str, body: object) -> None:
        self.protocol = protocol
        self.answers = AnswerStream()
        payload = json.dumps(body).encode()
        self.request = (
            f"POST {ROOT_PATH}{PATHS[protocol]} HTTP/1.1\r\nhost: chaos\r\nconnection: close\r\n"
            f"content-type: application/json\r\nauthorization: Bearer {gateway.key}\r\n"
            f"content-length: {len(payload)}\r\n\r\n"
        ).encode() + payload
        self._port = urlsplit(gateway.root_url).port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self) -> "Talk":
        """Connect and send all of the request."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writer.write(self.request)
        return self

    async def until(self, mark: bytes) -> None:
        """Read until this has come."""
        while mark not in self.answers.raw:
            data = await asyncio.wait_for(self.reader.read(65536), TIMEOUT_S)
            assert data, f"no {mark!r} before the end of {self.answers.raw[-500:]!r}"
            self.answers.feed(data)

    async def end(self, timeout_s: float = TIMEOUT_S) -> Seen:
        """Read to the end and judge.

        Raises:
            ConnectionError: there was no end: a client cannot take it for one.
        """
        try:
            while not self.answers.whole:
                data = await asyncio.wait_for(self.reader.read(65536), timeout_s)
                if not data:
                    raise ConnectionResetError(f"broken off after {len(self.answers.raw)} bytes")
                self.answers.feed(data)
        finally:
            self.writer.close()
        answer = self.answers.whole[0]
        return judge(self.protocol, answer.status, answer.headers, answer.body)

    def vanish(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()


async def ask(
    gateway: Gateway, protocol: str, body: object, *, timeout_s: float = TIMEOUT_S
) -> Seen:
    """One request on a connection of its own, to its end."""
    return await (await Talk(gateway, protocol, body).open()).end(timeout_s)


def prompt(
    text: str, model: str, *, stream: bool = True, max_tokens: int = 4_096
) -> dict[str, object]:
    """The smallest body that both protocols take; streams of Chat report their usage."""
    body: dict[str, object] = {
        "model": model,
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": text}],
    }
    return {**body, "stream": True} if stream else body


def judge(protocol: str, status: int, headers: dict[str, str], body: bytes) -> Seen:
    """What an answer whose framing is whole says. One that looks whole and is not is a failure."""
    request_id = headers["x-request-id"]
    if status != 200:
        told = json.loads(body)
        assert told["error"]["message"], body
        assert protocol == "chat" or told["type"] == "error", body
        return Seen("refused", status, request_id, "", 0)
    if headers["content-type"].startswith("application/json"):
        return _whole(protocol, request_id, body)
    return _stream(protocol, request_id, body)


def _whole(protocol: str, request_id: str, body: bytes) -> Seen:
    told = json.loads(body)
    if protocol == "messages":
        assert told["stop_reason"], body
        text = "".join(block.get("text", "") for block in told["content"])
        return Seen("whole", 200, request_id, text, told["usage"]["output_tokens"])
    assert told["choices"][0]["finish_reason"], body
    text = told["choices"][0]["message"]["content"] or ""
    return Seen("whole", 200, request_id, text, told["usage"]["completion_tokens"])


def _stream(protocol: str, request_id: str, body: bytes) -> Seen:
    text, tokens, ended, failed = "", 0, False, False
    assert body.endswith(b"\n\n"), f"half an event: {body[-200:]!r}"
    for event in body.split(b"\n\n")[:-1]:
        over = ended or failed
        assert not over, f"something follows the end: {event!r}"
        data = next((line[5:].strip() for line in event.split(b"\n") if line[:5] == b"data:"), b"")
        if not data:
            assert event.startswith(b":"), event
            continue
        if data == b"[DONE]":
            ended = True
            continue
        told = json.loads(data)
        if "error" in told:
            assert told["error"]["message"], event
            assert protocol == "chat" or event.startswith(b"event: error\n"), event
            failed = True
        elif protocol == "messages":
            ended = told["type"] == "message_stop"
            text += told.get("delta", {}).get("text", "")
            tokens = told.get("usage", {}).get("output_tokens", tokens)
        else:
            for choice in told["choices"]:
                text += choice["delta"].get("content") or ""
            tokens = (told.get("usage") or {}).get("completion_tokens", tokens)
    assert ended or failed, f"a stream that just stops: {body[-300:]!r}"
    return Seen("error" if failed else "whole", 200, request_id, text, tokens)
