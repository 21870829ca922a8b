"""A Messages stream that may pause goes on as one stream, or ends in an error chunk."""

import json

from fuzz.corpus import MESSAGES_ERROR, MESSAGES_STREAM
from fuzz.target import Target
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.paused_turns import PausedTurn
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.tools_to_messages import ToolPlan

ASK = Ask(model="m", stream=True, max_tokens=None, thinking=True, input_estimate=7)
REQUEST = b'{"model":"up","max_tokens":90,"messages":[{"role":"user","content":"x"}]}'
PAUSES = MESSAGES_STREAM.replace(b'"tool_use"}', b'"pause_turn"}').replace(
    b'"stop_reason": "tool_use"', b'"stop_reason": "pause_turn"'
)


def check(data: bytes) -> None:
    """The same bytes are said again after each pause, until the bound."""
    turn = PausedTurn(REQUEST)
    stream = ChatStream(ASK, Identity("req_1", "abc", 7), ToolPlan(), turn=turn)
    sent = stream.feed(data) + stream.close()
    while (more := turn.resume()) is not None:
        assert b"[DONE]" not in sent
        asked = json.loads(more)  # takes numbers beyond all ranges, as a server may
        assert asked["messages"][-1]["role"] == "assistant"
        assert asked["max_tokens"] >= 1
        stream.resume()
        sent += stream.feed(data) + stream.close()
    assert stream.finished != (stream.failure is not None)
    assert (b"[DONE]" in sent) == stream.finished


TARGET = Target(check, [PAUSES, MESSAGES_STREAM, MESSAGES_STREAM[:900] + MESSAGES_ERROR])
