"""Every client protocol with every upstream protocol: tools, thinking, usage, broken streams."""

import json

import anthropic
import openai
import pytest
from tests.e2e.conftest import Bridge

MODELS = ("messages", "messages-thinking", "chat", "chat-thinking")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOLS = [
    {"name": "weather", "description": "Weather of a city", "input_schema": SCHEMA},
    {"name": "clock", "description": "Time in a city", "input_schema": SCHEMA},
]
FUNCTIONS = [
    {
        "type": "function",
        "function": {
            "name": tool["name"],
            "description": tool["description"],
            "parameters": tool["input_schema"],
        },
    }
    for tool in TOOLS
]


@pytest.fixture
def messages(bridge: Bridge):
    gateway = bridge.gateway
    with anthropic.Anthropic(
        auth_token=gateway.key, base_url=gateway.base_url, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def chat(bridge: Bridge):
    gateway = bridge.gateway
    with openai.OpenAI(api_key=gateway.key, base_url=gateway.base_url, max_retries=0) as client:
        yield client


def said(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", MODELS)
def test_messages_client_calls_tools_in_parallel(messages: anthropic.Anthropic, model: str):
    turns = said("@tools=2 Weather and time?")
    called = messages.messages.create(model=model, max_tokens=500, messages=turns, tools=TOOLS)
    assert called.stop_reason == "tool_use"
    calls = [block for block in called.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["weather", "clock"]
    assert [call.input for call in calls] == [{"city": "Paris", "days": 7}] * 2
    with messages.messages.stream(
        model=model, max_tokens=500, messages=turns, tools=TOOLS
    ) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in streamed.content] == [block.type for block in called.content]
    assert [b.input for b in streamed.content if b.type == "tool_use"] == [c.input for c in calls]
    turns += [
        {"role": "assistant", "content": called.content},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": calls[0].id, "content": "Rain"},
                {
                    "type": "tool_result",
                    "tool_use_id": calls[1].id,
                    "content": [{"type": "text", "text": "Noon"}],
                },
            ],
        },
    ]
    answered = messages.messages.create(model=model, max_tokens=500, messages=turns, tools=TOOLS)
    assert "The tool said: Rain | Noon" in answered.content[0].text
    assert answered.stop_reason == "end_turn"


@pytest.mark.parametrize("model", MODELS)
def test_chat_client_calls_tools_in_parallel(chat: openai.OpenAI, model: str):
    turns = said("@tools=2 Weather and time?")
    called = chat.chat.completions.create(model=model, messages=turns, tools=FUNCTIONS)
    assert called.choices[0].finish_reason == "tool_calls"
    message = called.choices[0].message
    calls = message.tool_calls
    assert [call.function.name for call in calls] == ["weather", "clock"]
    assert [json.loads(call.function.arguments) for call in calls] == [
        {"city": "Paris", "days": 7}
    ] * 2
    with chat.chat.completions.stream(model=model, messages=turns, tools=FUNCTIONS) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert streamed.finish_reason == "tool_calls"
    assert [call.function.arguments for call in streamed.message.tool_calls] == [
        call.function.arguments for call in calls
    ]
    turns += [
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "Rain"},
        {"role": "tool", "tool_call_id": calls[1].id, "content": "Noon"},
    ]
    answered = chat.chat.completions.create(model=model, messages=turns, tools=FUNCTIONS)
    assert "The tool said: Rain | Noon" in answered.choices[0].message.content


# An upstream of OpenAI's own dialect tells no thinking, however it is asked.
@pytest.mark.parametrize("model", ["messages", "messages-thinking", "chat-thinking"])
def test_messages_client_gets_the_thinking_it_asks_for(
    bridge: Bridge, messages: anthropic.Anthropic, model: str
):
    asked = {"type": "enabled", "budget_tokens": 1024}
    turns = said("@tools=1 Weather?")
    first = messages.messages.create(
        model=model, max_tokens=2048, messages=turns, tools=TOOLS, thinking=asked
    )
    assert first.content[0].type == "thinking"
    assert first.content[0].thinking == "The user is at turn 1."
    turns += [
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "Rain"}
            ],
        },
    ]
    with messages.messages.stream(
        model=model, max_tokens=2048, messages=turns, tools=TOOLS, thinking=asked
    ) as stream:
        second = stream.get_final_message()
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert "The tool said: Rain" in second.content[-1].text
    sent = bridge.upstreams[model].requests[-1].json()
    assert "The user is at turn 1." in json.dumps(sent), "the thinking did not go back upstream"


@pytest.mark.parametrize("model", ["messages-thinking", "chat-thinking"])
def test_thinking_goes_back_upstream_from_a_chat_client(
    bridge: Bridge, chat: openai.OpenAI, model: str
):
    turns = said("@tools=1 Weather?")
    called = chat.chat.completions.create(
        model=model, messages=turns, tools=FUNCTIONS, reasoning_effort="high"
    )
    message = called.choices[0].message
    assert message.reasoning_content == "The user is at turn 1."
    turns += [
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain"},
    ]
    answered = chat.chat.completions.create(
        model=model, messages=turns, tools=FUNCTIONS, reasoning_effort="high"
    )
    assert "The tool said: Rain" in answered.choices[0].message.content
    sent = bridge.upstreams[model].requests[-1].json()
    assert "The user is at turn 1." in json.dumps(sent)


@pytest.mark.parametrize("model", MODELS)
def test_usage_is_the_same_streamed_and_whole(
    messages: anthropic.Anthropic, chat: openai.OpenAI, model: str
):
    prompt = said("@cached=7 One two three")
    whole = messages.messages.create(model=model, max_tokens=99, messages=prompt)
    with messages.messages.stream(model=model, max_tokens=99, messages=prompt) as stream:
        streamed = stream.get_final_message()
    # The directive is a word of the prompt too.
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens) == (4, 7)
    assert whole.usage.output_tokens > 0
    assert streamed.usage.input_tokens == 4
    assert streamed.usage.cache_read_input_tokens == 7
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    completion = chat.chat.completions.create(model=model, messages=prompt)
    assert completion.usage.prompt_tokens == 11
    assert completion.usage.prompt_tokens_details.cached_tokens == 7
    assert completion.usage.completion_tokens == whole.usage.output_tokens
    chunks = list(
        chat.chat.completions.create(
            model=model,
            messages=prompt,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == 11
    assert chunks[-1].usage.completion_tokens == whole.usage.output_tokens


@pytest.mark.parametrize("how", ["error_after", "cut_after"])
@pytest.mark.parametrize("model", MODELS)
def test_a_broken_stream_is_an_error_for_either_client(
    messages: anthropic.Anthropic, chat: openai.OpenAI, model: str, how: str
):
    prompt = said(f"@{how}=8 @chunks=50 Go")
    with (
        pytest.raises(anthropic.APIError),
        messages.messages.stream(model=model, max_tokens=99, messages=prompt) as stream,
    ):
        stream.until_done()
    with pytest.raises(openai.APIError):
        for _ in chat.chat.completions.create(model=model, messages=prompt, stream=True):
            pass


@pytest.mark.parametrize("model", MODELS)
def test_the_answer_names_the_model_that_was_asked_for(
    messages: anthropic.Anthropic, chat: openai.OpenAI, model: str
):
    prompt = said("Grüße 中文 🙂")
    message = messages.messages.create(model=model, max_tokens=99, messages=prompt)
    assert message.model == model
    assert "Grüße 中文 🙂" in message.content[0].text
    completion = chat.chat.completions.create(model=model, messages=prompt)
    assert completion.model == model
    assert "Grüße 中文 🙂" in completion.choices[0].message.content


@pytest.mark.parametrize("model", MODELS)
def test_limits_and_stops_reach_the_upstream(
    messages: anthropic.Anthropic, chat: openai.OpenAI, model: str
):
    prompt = said("@chunks=30 Go")
    capped = messages.messages.create(model=model, max_tokens=20, messages=prompt)
    assert capped.stop_reason == "max_tokens"
    assert len(capped.content[0].text.split()) == 20
    short = chat.chat.completions.create(model=model, messages=prompt, max_tokens=20)
    assert short.choices[0].finish_reason == "length"
    stopped = chat.chat.completions.create(model=model, messages=prompt, stop=["word5"])
    assert stopped.choices[0].message.content.split()[-1] == "word4"
