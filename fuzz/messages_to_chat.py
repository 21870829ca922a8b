"""Any Messages stream becomes chunks that end with usage, or ends in an error chunk."""

import msgspec

from fuzz.corpus import MESSAGES_ERROR, MESSAGES_STREAM
from fuzz.target import Target, check_stream
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.wire.sse import DONE, SSEDecoder


def check(data: bytes) -> None:
    """With usage in a chunk of its own and without."""
    ask = Ask(
        model="m", stream=True, max_tokens=None, thinking=True,
        include_usage=sum(data[:16]) % 2 == 0, input_estimate=7,
    )  # fmt: skip
    stream = lambda: ChatStream(ask, Identity("req_1", "abc", 7), ToolPlan())  # noqa: E731
    sent = [event.data for event in SSEDecoder().feed(check_stream(stream, data))]
    chunks = [msgspec.json.decode(chunk) for chunk in sent if chunk != DONE]
    assert all("choices" in chunk for chunk in chunks)
    if sent and sent[-1] == DONE:
        assert any(chunk.get("usage") for chunk in chunks)


TARGET = Target(check, [MESSAGES_STREAM, MESSAGES_STREAM[:900] + MESSAGES_ERROR])
