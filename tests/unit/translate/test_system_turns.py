import json

import pytest

from tollbridge.dialect_config import SystemMessages
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, UpstreamTerms
from tollbridge.translate.identity import MessagesIdentity
from tollbridge.translate.system_turns import has_system_turns

MARKED = {"type": "text", "text": "<system-reminder>\nBe brief.\n</system-reminder>"}
USER = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
ANSWER = {"role": "assistant", "content": "Hello"}


def sent(place: SystemMessages | None, *turns: dict, **members: object) -> dict:
    asked = {"model": "m", "max_tokens": 9, "messages": turns, "odd": [1.50], **members}
    body = json.dumps(asked).encode()
    bridge = MessagesIdentity(read_ask("messages", body), body, Identity("r", "m", 1))
    whole = bridge.request(UpstreamTerms("m", "generic", 9, place))
    if place in (None, "keep"):
        assert whole == body
    return json.loads(whole)


@pytest.mark.parametrize("place", [None, "keep"])
def test_kept(place: SystemMessages | None):
    assert sent(place, USER, SYSTEM)["messages"] == [USER, SYSTEM]


def test_merged_into_the_first():
    block = {"type": "text", "text": "Be brief."}
    assert sent("merge", USER, SYSTEM)["system"] == [block]
    got = sent("merge", USER, SYSTEM, ANSWER, SYSTEM, system="Be kind.")
    assert got["system"] == [{"type": "text", "text": "Be kind."}, block, block]
    assert got["messages"] == [USER, ANSWER]
    assert got["odd"] == [1.5]


def test_as_text_of_the_user_turn_before():
    said = {"type": "text", "text": "Hi"}
    cached = {"role": "user", "content": [said], "extra": 1}
    assert sent("user", USER, SYSTEM)["messages"] == [
        {"role": "user", "content": [said, MARKED]},
    ]
    assert sent("user", cached, SYSTEM, SYSTEM, ANSWER, SYSTEM)["messages"] == [
        {"role": "user", "content": [said, MARKED, MARKED], "extra": 1},
        ANSWER,
        {"role": "user", "content": [MARKED]},
    ]


def test_bodies_without_a_system_message_keep_their_bytes():
    asked = {"model": "m", "max_tokens": 9, "messages": [USER]}
    body = json.dumps(asked).encode()
    assert not has_system_turns(body)
    bridge = MessagesIdentity(read_ask("messages", body), body, Identity("r", "m", 1))
    assert bridge.request(UpstreamTerms("m", "generic", 9, "user")) is body
