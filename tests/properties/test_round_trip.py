"""Messages to Chat and back: what the list of dispositions calls exact comes back as it was.

A request of a Messages client is written for a Chat upstream; that request is then taken as a Chat
client's and written for a Messages upstream.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.properties.upstream_answers import SIGNATURE, Json, inputs, texts
from tests.stage import IDENTITY

from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.dispositions import CHAT, MESSAGES
from tollbridge.translate.pairs import open_bridge
from tollbridge.wire.codec import encode

DIALECT = "openrouter"
"""It takes sampling, reasoning with its signatures, and does not name the stop sequence: that one
field is kept by the gateway, and not sent."""

unit = st.floats(0, 1, allow_nan=False)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
said = texts.filter(str.strip)


@st.composite
def tools(draw: st.DrawFn) -> list[Json]:
    made = []
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        properties = {
            key: {"type": draw(st.sampled_from(["string", "integer"]))}
            for key in draw(st.lists(texts, max_size=3, unique=True))
        }
        tool: Json = {"name": name, "input_schema": {"type": "object", "properties": properties}}
        if draw(st.booleans()):
            tool["description"] = draw(said)
        if draw(st.booleans()):
            tool["strict"] = True
        made.append(tool)
    return made


@st.composite
def choices(draw: st.DrawFn, offered: list[Json]) -> Json:
    kind = draw(st.sampled_from(["auto", "any", "tool", "none"]))
    choice: Json = {"type": kind}
    if kind == "tool":
        choice["name"] = draw(st.sampled_from(offered))["name"]
    if kind != "none" and draw(st.booleans()):
        choice["disable_parallel_tool_use"] = True
    return choice


@st.composite
def turns(draw: st.DrawFn, offered: list[Json]) -> list[Json]:
    """Turns that alternate, with calls whose results all come at once, in their order."""
    made: list[Json] = []
    count = 0
    for _ in range(draw(st.integers(0, 3))):
        made.append(_user([{"type": "text", "text": draw(said)}]))
        blocks: list[Json] = []
        results: list[Json] = []
        for _ in range(draw(st.integers(0, 2))):
            tool_id = f"toolu_{count}"
            count += 1
            name = draw(st.sampled_from(offered))["name"]
            blocks.append({"type": "tool_use", "id": tool_id, "name": name, "input": draw(inputs)})
            content = [{"type": "text", "text": draw(said)}]
            results.append({"type": "tool_result", "tool_use_id": tool_id, "content": content})
        if draw(st.booleans()) or not blocks:
            blocks.insert(0, {"type": "text", "text": draw(said)})
        if results and draw(st.booleans()):
            thought = {"type": "thinking", "thinking": draw(texts), "signature": SIGNATURE}
            blocks.insert(0, thought)
        made.append({"role": "assistant", "content": blocks})
        if results:
            made.append(_user(results))
            made.append({"role": "assistant", "content": [{"type": "text", "text": draw(said)}]})
    return [*made, _user([{"type": "text", "text": draw(said)}])]


@st.composite
def requests(draw: st.DrawFn) -> Json:
    """A request whose every member is one that the list calls exact."""
    offered = draw(tools())
    request: Json = {
        "model": "mine",
        "max_tokens": draw(st.integers(16, 4096)),
        "stream": draw(st.booleans()),
        "tools": offered,
        "messages": draw(turns(offered)),
    }
    optional = {
        "temperature": unit,
        "top_p": unit,
        "tool_choice": choices(offered),
        "stop_sequences": st.lists(said, min_size=1, max_size=3, unique=True),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            request[name] = draw(values)
    return request


def _user(content: list[Json]) -> Json:
    return {"role": "user", "content": content}


def written(client: Protocol, upstream: Protocol, request: Json) -> tuple[Json, tuple[str, ...]]:
    body = encode(request)
    bridge = open_bridge(client, upstream, read_ask(client, body), body, IDENTITY)
    limit = request.get("max_tokens", 4096)
    return decoded(bridge.request(UpstreamTerms("mine", DIALECT, limit))), bridge.dropped


def decoded(body: bytes) -> Json:

    value: Json = json.loads(body)
    return value


@given(requests())
def test_what_is_exact_comes_back(request: Json) -> None:
    chat, dropped = written("messages", "chat", request)
    assert dropped == ()
    matched_here = "stop_sequences" in request and "stop" not in chat
    back, dropped = written("chat", "messages", chat)
    assert dropped == ()
    expected: dict[str, Any] = {**request}
    if matched_here:
        assert chat["stream"]
        expected.pop("stop_sequences")
        expected["stream"] = True
    if not expected["stream"]:
        expected.pop("stream")
    spoken = any(one["role"] == "tool" for one in chat["messages"])
    if request.get("tool_choice") == {"type": "none"} and not spoken:
        # Tools that may not be called, and that no turn speaks of, need not be told.
        expected.pop("tools")
        expected.pop("tool_choice")
    assert back == expected


def test_all_that_is_exact_is_tried():
    """A row that becomes exact must join the requests above."""
    tried = {
        "request field": {
            "model", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "tool_choice",
        },
        "role": {"user", "assistant"},
        "content block": {"text", "tool_use"},
        "block member": {"type", "text", "id", "name", "input", "tool_use_id"},
        "tool kind": {"custom"},
        "tool choice": {"auto", "none", "any", "tool"},
    }  # fmt: skip
    for table, members in tried.items():
        exact = {name for name, row in MESSAGES[table].items() if row.disposition == "exact"}
        assert exact == members, table
    # The way back loses nothing of these either.
    back = {"messages", "max_completion_tokens", "stream", "stop", "tools", "tool_choice"}
    assert all(CHAT["request field"][name].disposition != "refused" for name in back)
