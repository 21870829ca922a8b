"""The stage on which a playbook is played: a bridge between two sides that are written as lines.

`tests/playbook.py` explains the notation; here its lines become bytes, and bytes become lines.
"""

import ast
import json
import re
from typing import Any, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from tollbridge.app.relay import HEARTBEATS
from tollbridge.config import Protocol
from tollbridge.dialect_config import SystemMessages
from tollbridge.errors import GatewayError
from tollbridge.ledger.tariff import Outcome, charge
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import (
    Bridge,
    GatheredAnswer,
    Identity,
    StreamBridge,
    UpstreamTerms,
)
from tollbridge.translate.failures import error_body, error_status
from tollbridge.translate.pairs import open_bridge
from tollbridge.usage import TokenUsage
from tollbridge.wire.sse import SSEDecoder

IDENTITY = Identity("req_1", "m1", 1_700_000_000, b"key")
MAX_TOKENS = 4096
"""What the model can give; a request for more is capped."""
END, SILENCE = "(end)", "(silence)"
ESTIMATE = 33
"""The prompt's tokens, as far as the gateway knows: estimates are another matter."""
HEAD = re.compile(
    r"== (messages|chat) on (messages|chat)"
    r"(?: \(([\w.-]+)(?:, ([\w./:-]+))?(?:, system messages (\w+))?\))?"
)

_ENVELOPE = {"id": "chatcmpl-m1", "object": "chat.completion.chunk", "created": 1_700_000_000}


class Out(NamedTuple):
    """What went out: the title of the step, and its lines."""

    title: str
    lines: list[Any]


class Stage:
    """Plays the gateway between the two sides: takes a step, gathers what goes out."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sent: list[Out] = []
        self.stream: StreamBridge | None = None
        self._client: Protocol = "messages"
        self._upstream: Protocol = "messages"
        self._terms = UpstreamTerms("up", "generic", MAX_TOKENS)
        self._request: dict[str, Any] = {}
        self._first: dict[str, Any] = {}
        self._bridge: Bridge | None = None

    def set_pair(self, head: str) -> None:
        """Who speaks to whom from now on."""
        found = HEAD.fullmatch(head)
        assert found, head
        self._client, self._upstream = cast("tuple[Protocol, Protocol]", found.group(1, 2))
        dialect = found[3] or "generic"
        place = cast("SystemMessages | None", found[5])
        self._terms = UpstreamTerms(found[4] or "up", dialect, MAX_TOKENS, system_messages=place)

    def filled(self, value: Any) -> Any:
        """The value with what placeholders have captured."""
        if isinstance(value, dict):
            return {name: self.filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        return self.values.get(value, value) if isinstance(value, str) else value

    def take(self, title: str, lines: list[Any]) -> None:
        """What comes in, by its title."""
        if title == "client request":
            self._request = lines[0]
            self._bridge = self._open(self._request)
        elif self._bridge is None:
            raise ValueError(f"{title}: there is no open request")
        elif title == "upstream answer":
            self._answer(self._bridge, lines[0])
        elif title == "upstream stream":
            self._feed(self._bridge, lines)
        else:
            raise ValueError(f"nothing comes in as {title!r}")

    def _open(self, request: dict[str, Any], *, again: bool = False) -> Bridge | None:
        body = json.dumps(request, ensure_ascii=False).encode()
        try:
            ask = msgspec.structs.replace(read_ask(self._client, body), input_estimate=ESTIMATE)
            bridge = open_bridge(self._client, self._upstream, ask, body, IDENTITY)
            if (local := bridge.local()) is not None:
                self._out("client answer", json.loads(local.body))
                return None
            most = min(ask.max_tokens or MAX_TOKENS, MAX_TOKENS)
            sent = json.loads(bridge.request(replace(self._terms, max_tokens=most)))
        except GatewayError as error:
            self._refuse(error)
            return None
        if not again:
            self._out("upstream request", sent)
            if bridge.dropped:
                self._out("dropped", *bridge.dropped)
            self._first = sent
        else:
            changed = {**sent, "stream": None, "stream_options": None}
            first = {**self._first, "stream": None, "stream_options": None}
            assert changed == first, f"streamed, the request differs: {compact(sent)}"
        return bridge

    def _answer(self, bridge: Bridge, answer: Any) -> None:
        usage, counted = None, 0
        outcome = Outcome.FINISHED
        try:
            reply = bridge.reply(json.dumps(answer, ensure_ascii=False).encode())
            usage, counted = reply.usage, reply.counted_output
            self._out("client answer", json.loads(reply.body))
        except GatewayError as error:
            outcome = Outcome.FAILED_EARLY
            self._refuse(error)
        self._charge(outcome, usage, counted)

    def _feed(self, bridge: Bridge, lines: list[Any]) -> None:
        if self.stream is None and bridge.gathers:
            self.stream = bridge.gather()
        elif self.stream is None:
            if not self._request.get("stream"):
                again = self._open({**self._request, "stream": True}, again=True)
                assert again is not None, "the request is refused when it is streamed"
                bridge = again
            self.stream = bridge.stream()
        stream = self.stream
        written = b""
        for line in lines:
            if line == END:
                written += stream.close()
                self.stream = None
            elif line == SILENCE:
                written += HEARTBEATS[self._client]
            else:
                written += stream.feed(_wire(self._upstream, line))
        if written:
            model = self._request["model"]
            self._out("client stream", *_events(self._client, written, model))
        if self.stream is None:
            if bridge.gathers and stream.finished:
                reply = cast("GatheredAnswer", stream).reply()
                self._out("client answer", json.loads(reply.body))
            outcome = Outcome.FAILED_MIDWAY if stream.failure else Outcome.FINISHED
            self._charge(outcome, stream.usage, stream.counted_output)

    def _charge(self, outcome: Outcome, usage: TokenUsage | None, counted: int) -> None:
        used, provenance = charge(outcome, usage, TokenUsage(input=ESTIMATE, output=counted))
        classes = {name: getattr(used, name) for name in TokenUsage.__struct_fields__}
        told = ", ".join(f"{name} {count}" for name, count in classes.items() if count)
        self._out("charge", f"{provenance.value}: {told or 'nothing'}")

    def _refuse(self, error: GatewayError) -> None:
        body = json.loads(error_body(self._client, error, IDENTITY.request_id))
        self._out("client error", {"status": error_status(self._client, error), **body})

    def _out(self, title: str, *lines: Any) -> None:
        self.sent.append(Out(title, list(lines)))


def _wire(upstream: Protocol, line: Any) -> bytes:
    """A line of an upstream's stream as the bytes that arrive."""
    if isinstance(line, str):
        if line.startswith("raw "):
            literal = ast.literal_eval(line[4:])
            return literal if isinstance(literal, bytes) else str(literal).encode()
        return f"data: {line}\n\n".encode()
    if upstream == "messages":
        return f"event: {line['type']}\ndata: {compact(line)}\n\n".encode()
    if not line.keys() & {"choices", "error"}:
        choice = {"index": 0, "finish_reason": None, **line}
        usage = {"usage": choice.pop("usage")} if "usage" in line else {}
        line = {"choices": [choice], **usage}
    return f"data: {compact({**_ENVELOPE, 'model': 'up', **line})}\n\n".encode()


def _events(client: Protocol, written: bytes, model: str) -> list[Any]:
    """The lines for what a client was sent."""
    lines: list[Any] = []
    for block in SSEDecoder().blocks(written):
        if block.startswith(b":"):
            lines.append(f"raw {block.decode()!r}")
            continue
        name, _, data = block.decode().rpartition("data: ")
        if not data.startswith("{"):
            lines.append(data)
            continue
        value = json.loads(data)
        if client == "messages":
            assert name == f"event: {value['type']}\n", f"an event named {name!r}: {data}"
            lines.append(value)
        else:
            assert not name, f"a chunk named {name!r}"
            lines.append(_without_envelope(value, model))
    return lines


def _without_envelope(chunk: dict[str, Any], model: str) -> Any:
    envelope = {**_ENVELOPE, "model": model}
    rest = {name: value for name, value in chunk.items() if envelope.get(name) != value}
    if "error" not in rest and len(rest) != len(chunk) - len(envelope):
        return chunk  # an envelope of its own is worth seeing
    choices = rest.get("choices")
    if choices and len(choices) == 1 and choices[0].get("index") == 0:
        del rest["choices"]
        told = {name: value for name, value in choices[0].items() if name != "index"}
        if told.get("finish_reason", "") is None:
            del told["finish_reason"]
        return {**told, **rest}
    return rest


def compact(value: Any) -> str:
    """JSON in one line."""
    return json.dumps(value, ensure_ascii=False)
