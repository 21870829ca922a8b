"""The vendors' own SDKs as judges, in all four pairs of protocols.

What an SDK accumulates from our stream must be what it parses from our one-shot answer, when the
upstream's one-shot answer is the sum of its stream. The SDKs run whole, on a transport without a
network.
"""

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from tests.properties.upstream_answers import (
    PAIRS,
    Json,
    Said,
    answers,
    folded,
    open_for,
    relayed,
    wire,
)

from tollbridge.config import Protocol

REQUEST: Json = {"model": "mine", "messages": [{"role": "user", "content": "Hi"}]}


class Served:
    """A transport that answers with the bytes it was given last."""

    def __init__(self) -> None:
        self.body = b""
        self.http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.anthropic = anthropic.Anthropic(api_key="k", http_client=self.http, max_retries=0)
        self.openai = openai.OpenAI(api_key="k", http_client=self.http, max_retries=0)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        streamed = json.loads(request.content).get("stream")
        kind = "text/event-stream" if streamed else "application/json"
        return httpx2.Response(200, headers={"content-type": kind}, content=self.body)


@pytest.fixture(scope="module")
def served():
    made = Served()
    yield made
    made.http.close()


def accumulated(served: Served, client: Protocol, body: bytes) -> Json:
    served.body = body
    if client == "messages":
        with served.anthropic.messages.stream(max_tokens=4096, **REQUEST) as stream:
            return stream.get_final_message().to_dict()
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    with served.openai.chat.completions.create(**REQUEST, stream=True) as chunks:
        for chunk in chunks:
            state.handle_chunk(chunk)
    return state.current_completion_snapshot.to_dict()


def parsed(served: Served, client: Protocol, body: bytes) -> Json:
    served.body = body
    if client == "messages":
        return served.anthropic.messages.create(max_tokens=4096, **REQUEST).to_dict()
    return served.openai.chat.completions.create(**REQUEST).to_dict()


def plain(value: Any) -> Any:
    """The value without what an accumulator adds, and without what is nothing."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        noise = {"index", "parsed", "parsed_output", "parsed_arguments", "object", "annotations"}
        return {
            name: plain(item)
            for name, item in value.items()
            if item is not None and name not in noise
        }
    return value


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(said=answers(), cuts=st.lists(st.integers(0, 10_000), max_size=6), usage=st.booleans())
def test_the_stream_adds_up_to_the_answer(
    served: Served,
    client: Protocol,
    upstream: Protocol,
    said: Said,
    cuts: list[int],
    usage: bool,
) -> None:
    options = {"stream_options": {"include_usage": True}} if usage and client == "chat" else {}
    sent = relayed(open_for(client, upstream, stream=True, **options), wire(upstream, said), cuts)
    answer = open_for(client, upstream, stream=False).reply(folded(upstream, said))
    whole = parsed(served, client, answer.body)
    assert plain(accumulated(served, client, sent)) == plain(whole)
    assert whole["model"] == "mine"
    assert ended(client, whole) == expected_end(client, upstream, said)
    assert heard(client, whole) == (
        "".join(said.texts),
        [(f"f{place}", json.loads("".join(one))) for place, one in enumerate(said.calls)],
    )


ENDS = {
    # Why an answer ended, in the words of each protocol.
    "length": {"messages": "max_tokens", "chat": "length"},
    "calls": {"messages": "tool_use", "chat": "tool_calls"},
    "refusal": {"messages": "refusal", "chat": "content_filter"},
    "whole": {"messages": "end_turn", "chat": "stop"},
}


def expected_end(client: Protocol, upstream: Protocol, said: Said) -> str:
    """What the client is told; between equal protocols, whatever the upstream said."""
    if (client, upstream) == ("messages", "chat") and said.refusal:
        # Chat tells a refusal as a text, beside its finish reason.
        if said.texts:
            return ENDS["refusal"][client]
        said = said._replace(refusal=False)
    if said.finish == "length":
        return ENDS["length"][client]
    if said.calls and (said.finish == "whole" or client != upstream):
        return ENDS["calls"][client]
    if said.refusal and (client, upstream) != ("chat", "chat"):
        return ENDS["refusal"][client]
    return ENDS["whole"][client]


def ended(client: Protocol, answer: Json) -> Any:
    return answer["stop_reason"] if client == "messages" else answer["choices"][0]["finish_reason"]


def heard(client: Protocol, answer: Json) -> tuple[str, list[tuple[str, Any]]]:
    """The text and the calls that an SDK's object holds."""
    if client == "messages":
        blocks = answer["content"]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        used = [block for block in blocks if block["type"] == "tool_use"]
        return text, [(block["name"], block["input"]) for block in used]
    message = answer["choices"][0]["message"]
    functions = [call["function"] for call in message.get("tool_calls") or []]
    calls = [(function["name"], json.loads(function["arguments"])) for function in functions]
    return (message.get("content") or "") + (message.get("refusal") or ""), calls
