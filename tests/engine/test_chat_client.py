"""A Chat client on the real engine: the same protocol, so what it says passes untouched."""

import json
from typing import Any

import openai
import pytest
from tests.engine.conftest import CONTEXT, MODEL, Engine

TOOL = {
    "type": "function",
    "function": {
        "name": "open_gate",
        "parameters": {
            "type": "object",
            "properties": {"side": {"enum": ["north", "south"]}},
            "required": ["side"],
        },
    },
}
QUIET = {"chat_template_kwargs": {"enable_thinking": False}}
HELLO = [{"role": "user", "content": "Who goes there?"}]


def test_an_answer(engine: Engine):
    done = engine.chat.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, extra_body=QUIET
    )
    assert done.model == MODEL
    assert done.usage is not None
    assert 0 < done.usage.completion_tokens <= 8
    assert done.choices[0].finish_reason in ("stop", "length")


def test_a_stream_ends_with_usage(engine: Engine):
    chunks = list(
        engine.chat.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=8, stream=True, extra_body=QUIET
        )
    )
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert finishes[-1] in ("stop", "length")
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert usages
    assert 0 < usages[-1].completion_tokens <= 8


def test_the_charge_is_the_usage(engine: Engine):
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 8, **QUIET}
    answer = engine.ask("/chat/completions", body)
    usage = answer.json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    whole = usage["prompt_tokens"] - cached + usage["completion_tokens"]
    wanted = whole * 1_000_000 + cached * 100_000
    assert int(answer.headers["x-tollbridge-charge"]) == wanted


@pytest.mark.parametrize("stream", [False, True])
def test_a_required_call_keeps_to_its_schema(engine: Engine, stream: bool):
    asked = {
        "model": MODEL, "messages": HELLO, "tools": [TOOL], "tool_choice": "required",
        "max_tokens": 1_200, "extra_body": QUIET,
    }  # fmt: skip
    if stream:
        with engine.chat.chat.completions.stream(**asked) as events:
            done = events.get_final_completion()
    else:
        done = engine.chat.chat.completions.create(**asked)
    calls = done.choices[0].message.tool_calls
    assert calls, done
    assert json.loads(calls[0].function.arguments)["side"] in ("north", "south")
    assert done.choices[0].finish_reason == "tool_calls"


def test_an_answer_by_schema_is_json(engine: Engine):
    schema = {
        "type": "object",
        "properties": {"open": {"type": "boolean"}},
        "required": ["open"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "gate", "schema": schema}}
    done = engine.chat.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=300, response_format=wanted, extra_body=QUIET
    )
    assert isinstance(json.loads(done.choices[0].message.content)["open"], bool)


def test_what_the_engine_has_beyond_the_vocabulary_passes(engine: Engine):
    body = {
        "model": MODEL, "messages": HELLO, "max_tokens": 6, "top_k": 1, "n": 2,
        "logit_bias": [[" boat", 100]], "logprobs": True, **QUIET,
    }  # fmt: skip
    answer = engine.ask("/chat/completions", body).json()
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert texts == [" boat" * 6] * 2
    assert answer["choices"][0]["logprobs"]["content"][0]["token"] == " boat"


def test_a_stop_word_ends_the_answer(engine: Engine):
    done = engine.chat.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=400, stop=["e", "o"], extra_body=QUIET
    )
    assert not set("eo") & set(done.choices[0].message.content or "")


def test_a_prompt_beyond_the_window_is_a_400(engine: Engine):
    turns = [{"role": "user", "content": "zq " * CONTEXT}]
    with pytest.raises(openai.BadRequestError) as caught:
        engine.chat.chat.completions.create(model=MODEL, messages=turns, max_tokens=8)
    assert caught.value.code == "context_length_exceeded"


def shape(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what no two answers share: ids and times."""
    passing = {"id", "created", "model", "timings", "usage"}
    return {name: value for name, value in answer.items() if name not in passing}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"logprobs": True, "top_logprobs": 2},
        {"n": 2},
        {"tools": [TOOL], "tool_choice": "required", "max_tokens": 64},
    ],
)
def test_an_answer_that_is_gathered_is_the_engine_s_own(engine: Engine, more: dict[str, Any]):
    body = {
        "messages": HELLO, "max_tokens": 12, "temperature": 0, "seed": 7, "cache_prompt": False,
        "ignore_eos": "tools" not in more, **QUIET, **more,
    }  # fmt: skip
    own = engine.direct("/v1/chat/completions", {"model": "tiny", **body})
    gathered = engine.ask("/chat/completions", {"model": MODEL, **body}).json()
    for answer in (own, gathered):
        for choice in answer["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                call["id"] = "minted"
    assert shape(gathered) == shape(own)
    assert gathered.keys() == own.keys()
    assert gathered["usage"]["total_tokens"] == own["usage"]["total_tokens"]
