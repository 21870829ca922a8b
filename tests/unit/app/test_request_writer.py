import json

import pytest
from tests.fakes.bodies import chat_body, message
from tests.fakes.exchange_parts import JSON_HEAD, ScriptedReply
from tests.fakes.world import in_world

from tollbridge.app.request_writer import PATHS, write_request
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.ledger.model import UNLIMITED
from tollbridge.routing.catalog import Target
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity
from tollbridge.translate.pairs import open_bridge
from tollbridge.units import KeyId, MicroCredits, Tokens

TARGET = Target("up", "theirs", "messages", "anthropic")


def written(
    headers: dict[str, str], target: Target = TARGET, strict: bool = False, **members: object
) -> dict:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **members}
    body = json.dumps(asked).encode()
    ask = read_ask("chat", body)
    bridge = open_bridge("chat", target.protocol, ask, body, Identity("r", "m", 1))
    return json.loads(write_request(bridge, target, Tokens(50), headers, strict=strict))


def test_the_target_decides_the_terms():
    sent = written({})
    assert (sent["model"], sent["max_tokens"]) == ("theirs", 50)
    turns = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}]
    sent = written({}, TARGET._replace(system_messages="merge"), messages=turns)
    assert sent["system"] == [{"type": "text", "text": "Be brief."}]


def test_a_strict_client_is_refused_what_would_be_dropped():
    assert written({}, seed=1)["model"] == "theirs"
    assert written({"x-tollbridge-strict": "0"}, seed=1)
    assert written({"x-tollbridge-strict": "1"}, prompt_cache_key="a hint")
    with pytest.raises(GatewayError) as caught:
        written({"x-tollbridge-strict": "1"}, seed=1, store=True)
    assert caught.value.code is ErrorCode.FIELD_UNSUPPORTED
    assert caught.value.message.startswith("seed, store: ")


def test_a_strict_key_cannot_be_softened_by_a_header():
    assert written({}, strict=True)
    for headers in ({}, {"x-tollbridge-strict": "0"}):
        with pytest.raises(GatewayError) as caught:
            written(headers, strict=True, seed=1)
        assert caught.value.code is ErrorCode.FIELD_UNSUPPORTED


@in_world()
async def test_a_strict_key_has_what_would_be_dropped_refused(world):
    body = chat_body(model="single", seed=1, stream=False)
    world.servers["one"].answers = [ScriptedReply([message()], 200, JSON_HEAD)]
    client, error = await world.ask(body, "chat")
    assert (error, client.headers["x-tollbridge-dropped"]) == (None, "seed")
    await world.store.limit_key(KeyId("key_1"), UNLIMITED, MicroCredits(0), True)
    _, error = await world.ask(body, "chat")
    assert error.code is ErrorCode.FIELD_UNSUPPORTED
    assert len(world.servers["one"].calls) == 1


def test_paths_are_those_of_the_protocols():
    assert PATHS == {"messages": "/v1/messages", "chat": "/chat/completions"}
