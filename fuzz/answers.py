"""Any one-shot answer of an upstream becomes the client's, or a failure of the upstream's."""

from fuzz.corpus import CHAT_BODY, COMPLETION, MESSAGE, MESSAGES_BODY
from fuzz.requests import IDENTITY
from fuzz.target import Target, check_twice
from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.failures import error_body, failure_from_upstream
from tollbridge.translate.pairs import BRIDGES, open_bridge

BODIES: dict[Protocol, bytes] = {"messages": MESSAGES_BODY, "chat": CHAT_BODY}


def _answered(client: Protocol, upstream: Protocol, data: bytes) -> bytes:
    body = BODIES[client]
    bridge = open_bridge(client, upstream, read_ask(client, body), body, IDENTITY)
    bridge.request(UpstreamTerms("theirs", "anthropic", 50))
    reply = bridge.reply(data)
    assert reply.counted_output >= 0
    assert reply.usage is None or min(reply.usage.input, reply.usage.output) >= 0
    return reply.body


def check(data: bytes) -> None:
    """As an answer of every pair, and as the body of an error."""
    for client, upstream in BRIDGES:
        check_twice(lambda c=client, u=upstream: _answered(c, u, data), len(data))
        error = failure_from_upstream(upstream, 400 + len(data) % 200, {"retry-after": "5"}, data)
        assert len(error_body(client, error, "req_1")) < 20_000


TARGET = Target(check, [MESSAGE, COMPLETION, b'{"error":{"message":"busy","type":"x"}}', b"<html>"])
