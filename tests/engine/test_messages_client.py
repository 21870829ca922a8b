"""A Messages client on the real engine."""

import json

import anthropic
import pytest
from tests.engine.conftest import CONTEXT, MODEL, Engine

TOOLS = [
    {
        "name": "open_gate",
        "description": "Open a gate of the bridge.",
        "input_schema": {
            "type": "object",
            "properties": {
                "gate": {"type": "integer", "minimum": 1, "maximum": 99},
                "side": {"enum": ["north", "south"]},
            },
            "required": ["gate", "side"],
            "additionalProperties": False,
        },
    },
    {"name": "ring_bell", "input_schema": {"type": "object", "properties": {}}},
]
QUIET = {"type": "disabled"}
HELLO = [{"role": "user", "content": "Who goes there?"}]


def body(**more: object) -> dict:
    return {"model": MODEL, "max_tokens": 400, "messages": HELLO, "thinking": QUIET, **more}


def test_an_answer_has_text_usage_and_a_charge(engine: Engine):
    answer = engine.ask("/v1/messages", body(max_tokens=8))
    message = answer.json()
    assert answer.status == 200, message
    assert message["model"] == MODEL
    usage = message["usage"]
    assert 0 < usage["output_tokens"] <= 8
    weights = {"input_tokens": 1.0, "cache_read_input_tokens": 0.1, "output_tokens": 1.0}
    price = sum(round(usage[name] * weight * 1e6) for name, weight in weights.items())
    assert int(answer.headers["x-tollbridge-charge"]) == price


def test_a_stream_adds_up_to_a_message(engine: Engine):
    with engine.messages.messages.stream(**body(max_tokens=12)) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert "".join(pieces) == "".join(block.text for block in message.content)
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert 0 < message.usage.output_tokens <= 12
    total = message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
    counted = engine.messages.messages.count_tokens(model=MODEL, messages=HELLO, thinking=QUIET)
    assert total == counted.input_tokens


def test_the_ledger_takes_what_a_stream_reports(engine: Engine):
    before = engine.charged()
    with engine.messages.messages.stream(**body(max_tokens=20)) as stream:
        usage = stream.get_final_message().usage
    cached = usage.cache_read_input_tokens or 0
    wanted = (usage.input_tokens + usage.output_tokens) * 1_000_000 + cached * 100_000
    for _ in range(50):
        if (taken := engine.charged() - before) > 0:
            break
    assert taken == wanted


def test_max_tokens_cuts(engine: Engine):
    message = engine.messages.messages.create(
        **body(max_tokens=3, messages=[{"role": "user", "content": "a b c"}])
    )
    assert message.usage.output_tokens <= 3
    assert message.stop_reason == ("max_tokens" if message.usage.output_tokens == 3 else "end_turn")


def test_a_stop_sequence_ends_the_answer(engine: Engine):
    message = engine.messages.messages.create(**body(stop_sequences=[" ", "e"]))
    text = "".join(block.text for block in message.content)
    assert " " not in text
    assert "e" not in text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "open_gate"}])
def test_a_forced_call_keeps_to_its_schema(engine: Engine, choice: dict, stream: bool):
    asked = body(tools=TOOLS, tool_choice=choice, max_tokens=1_200)
    with engine.messages.messages.stream(**asked) as events:
        message = events.get_final_message() if stream else engine.messages.messages.create(**asked)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert calls, message
    assert message.stop_reason == "tool_use"
    for call in calls:
        if choice["type"] == "tool":
            assert call.name == "open_gate"
        if call.name == "open_gate":
            assert call.input["side"] in ("north", "south")
            assert isinstance(call.input["gate"], int)
        else:
            assert call.name == "ring_bell"


def test_a_tool_turn_is_understood(engine: Engine):
    history = [
        *HELLO,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "t1", "name": "open_gate", "input": {"gate": 7}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "open"},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]
    answer = engine.ask("/v1/messages", body(messages=history, tools=TOOLS, max_tokens=4))
    assert answer.status == 200, answer.body


def test_an_answer_by_schema_is_json(engine: Engine):
    schema = {
        "type": "object",
        "properties": {"open": {"type": "boolean"}, "side": {"enum": ["north", "south"]}},
        "required": ["open", "side"],
        "additionalProperties": False,
    }
    output = {"format": {"type": "json_schema", "schema": schema}}
    message = engine.ask("/v1/messages", body(output_config=output)).json()
    value = json.loads(message["content"][0]["text"])
    assert isinstance(value["open"], bool)
    assert value["side"] in ("north", "south")


def test_a_system_message_in_the_middle_passes_a_template_that_raises_on_it(engine: Engine):
    turns = [*HELLO, {"role": "system", "content": "Speak of boats."}]
    refused = engine.direct("/v1/chat/completions", {"messages": turns, "max_tokens": 4})
    assert "at the beginning" in refused["error"]["message"]
    answer = engine.ask("/v1/messages", body(messages=turns, system="Be brief.", max_tokens=4))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("stream", [False, True])
def test_a_prefill_is_continued_and_not_repeated(engine: Engine, stream: bool):
    prefill = "Number seventy-seven"
    turns = [*HELLO, {"role": "assistant", "content": prefill}]
    asked = body(messages=turns, max_tokens=6)
    if stream:
        with engine.messages.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        message = engine.messages.messages.create(**asked)
    assert prefill not in "".join(block.text for block in message.content)


def test_thinking_is_shown_when_asked_for_and_only_then(engine: Engine):
    def kinds(thinking: dict) -> set[str]:
        found: set[str] = set()
        for word in ("Ho", "Ahoy", "Who goes there?"):
            turns = [{"role": "user", "content": word}]
            asked = body(thinking=thinking, messages=turns, max_tokens=60)
            message = engine.messages.messages.create(**asked)
            found |= {block.type for block in message.content}
        return found

    assert "thinking" in kinds({"type": "enabled", "budget_tokens": 1_024})
    assert "thinking" not in kinds(QUIET)


def test_a_prompt_beyond_the_window_is_told_in_the_words_that_agents_know(engine: Engine):
    turns = [{"role": "user", "content": "zq " * CONTEXT}]
    with pytest.raises(anthropic.BadRequestError) as caught:
        engine.messages.messages.create(**body(messages=turns, max_tokens=8))
    assert "prompt is too long: " in str(caught.value)
    assert f"> {CONTEXT} maximum" in str(caught.value)


def test_what_the_engine_cannot_see_is_the_clients_mistake(engine: Engine):
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    turns = [{"role": "user", "content": [{"type": "image", "source": picture}]}]
    answer = engine.ask("/v1/messages", body(messages=turns))
    assert answer.status == 400, answer.body
    assert b"image input is not supported" in answer.body
