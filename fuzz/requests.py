"""Any client's body becomes an upstream's request in every dialect, or is refused with a code."""

import msgspec

from fuzz.corpus import CHAT_BODY, MESSAGES_BODY
from fuzz.target import Target, check_twice
from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, UpstreamTerms
from tollbridge.translate.dialects import DIALECT_ROWS
from tollbridge.translate.pairs import BRIDGES, open_bridge


class _Sent(msgspec.Struct):
    """Numbers out of all range may stand in members that pass as they are."""

    model: str


_decoder = msgspec.json.Decoder(_Sent)
IDENTITY = Identity("req_1", "abc", 7, b"key")


def _translated(client: Protocol, upstream: Protocol, dialect: str, body: bytes) -> bytes:
    bridge = open_bridge(client, upstream, read_ask(client, body), body, IDENTITY)
    sent = bridge.request(UpstreamTerms("theirs", dialect, 50))
    assert _decoder.decode(sent).model == "theirs"
    for name in bridge.dropped:
        assert name.isascii()
        assert name.isprintable()
    return sent


def check(data: bytes) -> None:
    """Every pair; the dialect follows from the input, so that all have their turn."""
    dialect = sorted(DIALECT_ROWS)[sum(data[:64]) % len(DIALECT_ROWS)]
    for client, upstream in BRIDGES:
        check_twice(
            lambda client=client, upstream=upstream: _translated(client, upstream, dialect, data),
            len(data),
        )


TARGET = Target(check, [MESSAGES_BODY, CHAT_BODY])
