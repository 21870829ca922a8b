"""What the exchange relies on: each pair offers the whole interface."""

import pytest

from tollbridge.translate import bridge
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.pairs import BRIDGES, open_bridge

BODIES = {
    "messages": b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}',
    "chat": b'{"model":"m","messages":[{"role":"user","content":"hi"}]}',
}


@pytest.mark.parametrize("pair", BRIDGES)
def test_each_pair_offers_the_interface(pair):
    ask = Ask(model="m", stream=True, max_tokens=9, thinking=False)
    opened = open_bridge(*pair, ask, BODIES[pair[0]], Identity("req_1", "1", 0))
    wanted = [name for name in vars(bridge.Bridge) if not name.startswith("_")]
    assert set(wanted) >= {"request", "reply", "stream"}
    for name in (*wanted, *bridge.Bridge.__annotations__):
        assert hasattr(opened, name), name
    stream = opened.stream()
    wanted = [name for name in vars(bridge.StreamBridge) if not name.startswith("_")]
    for name in (*wanted, *bridge.StreamBridge.__annotations__):
        assert hasattr(stream, name), name
    assert stream.usage is None
    assert stream.failure is None
    assert not stream.finished
    assert stream.counted_output == 0


def test_a_request_asks_for_one_answer_unless_it_says_otherwise():
    assert Ask(model="m", stream=False, max_tokens=None, thinking=True).choices == 1
