"""Every pair of protocols has its bridge."""

import itertools
import json
from typing import get_args

import pytest

from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, UpstreamTerms
from tollbridge.translate.pairs import BRIDGES, open_bridge

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@pytest.mark.parametrize(("client", "upstream"), list(itertools.product(PROTOCOLS, repeat=2)))
def test_every_pair_is_bridged(client: Protocol, upstream: Protocol) -> None:
    assert (client, upstream) in BRIDGES
    body = b'{"model":"mine","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    bridge = open_bridge(
        client, upstream, read_ask(client, body), body, Identity("req_1", "abc", 7)
    )
    sent = json.loads(bridge.request(UpstreamTerms("up", "generic", 5)))
    assert sent["model"] == "up"
    assert sent["max_tokens"] == 5
    assert bridge.dropped == ()
    assert bridge.stream().usage is None
