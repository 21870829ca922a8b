import asyncio
import json

from tollbridge.app.recollection import recall
from tollbridge.app.vault import MemoryVault
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Kept
from tollbridge.units import EnvId, Millis

ACME = EnvId("acme")
NOW = Millis(1_000)
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "abcd"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}


def body(**members: object) -> bytes:
    messages = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": [CALL]}]
    return json.dumps({"model": "m", "max_tokens": 9, "messages": messages, **members}).encode()


def recalled(vault: MemoryVault, sent: bytes, env: EnvId = ACME) -> bytes:
    return asyncio.run(recall(vault, env, "messages", read_ask("messages", sent), sent, NOW))


def test_what_was_kept_is_put_into_the_next_request():
    vault = MemoryVault()
    assert recalled(vault, body()) is not None
    asyncio.run(vault.keep(ACME, Kept("toolu_1", json.dumps([THOUGHT]).encode()), NOW))
    assert json.loads(recalled(vault, body()))["messages"][1]["content"] == [THOUGHT, CALL]
    assert recalled(vault, body(), EnvId("other")) == body()


def test_a_client_that_asked_for_thinking_is_left_alone():
    vault = MemoryVault()
    asyncio.run(vault.keep(ACME, Kept("toolu_1", json.dumps([THOUGHT]).encode()), NOW))
    asked = body(thinking={"type": "adaptive"})
    assert recalled(vault, asked) is asked
