"""The fakes are right if the vendors' own SDKs understand them, streamed and whole alike."""

import anthropic
import openai
import pytest
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.http_server import FakeUpstream, serving_in_thread
from tests.fakes.messages_upstream import MessagesUpstream

TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
FUNCTION = {
    "type": "function",
    "function": {"name": "weather", "parameters": TOOL["input_schema"]},
}


@pytest.fixture
def messages():
    with serving_in_thread(MessagesUpstream(thinks_unasked=True)) as upstream:
        yield upstream


@pytest.fixture
def chat():
    with serving_in_thread(ChatUpstream(thinks_unasked=True)) as upstream:
        yield upstream


def anthropic_client(upstream: FakeUpstream) -> anthropic.Anthropic:
    return anthropic.Anthropic(auth_token="k", base_url=upstream.root_url, max_retries=0)


def openai_client(upstream: FakeUpstream) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=f"{upstream.root_url}/v1", max_retries=0)


def ask(text: str, **more) -> dict:
    return {
        "model": "m",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


@pytest.mark.parametrize("prompt", ["Hello", "@tools=2 Weather?", "@cached=7 Grüße 中文 🙂"])
def test_messages_stream_folds_to_the_whole_answer(messages: FakeUpstream, prompt: str):
    with anthropic_client(messages) as client:
        whole = client.messages.create(**ask(prompt, tools=[TOOL]))
        with client.messages.stream(**ask(prompt, tools=[TOOL])) as stream:
            folded = stream.get_final_message()
    assert whole.content[0].type == "thinking"
    skip = {"id"}
    assert folded.model_dump(exclude=skip) == whole.model_dump(exclude=skip)
    assert [request.path for request in messages.requests] == ["/v1/messages"] * 2


@pytest.mark.parametrize("prompt", ["Hello", "@tools=2 Weather?", "@cached=7 Grüße 中文 🙂"])
def test_chat_stream_folds_to_the_whole_answer(chat: FakeUpstream, prompt: str):
    with openai_client(chat) as client:
        whole = client.chat.completions.create(**ask(prompt, tools=[FUNCTION]))
        with client.chat.completions.stream(
            **ask(prompt, tools=[FUNCTION], stream_options={"include_usage": True})
        ) as stream:
            folded = stream.get_final_completion()
    message, expected = folded.choices[0].message, whole.choices[0].message
    assert (message.content or None) == expected.content
    assert message.reasoning_content == expected.reasoning_content != ""
    calls = [(call.id, call.function.arguments) for call in message.tool_calls or []]
    assert calls == [(call.id, call.function.arguments) for call in expected.tool_calls or []]
    assert folded.choices[0].finish_reason == whole.choices[0].finish_reason
    assert folded.usage.model_dump() == whole.usage.model_dump()


def test_messages_tool_round_trip_needs_the_thinking_untouched(messages: FakeUpstream):
    turns = [{"role": "user", "content": "@tools=1 Weather?"}]
    with anthropic_client(messages) as client:
        called = client.messages.create(**ask("", tools=[TOOL], messages=turns))
        result = {
            "type": "tool_result",
            "tool_use_id": called.content[-1].id,
            "content": "Rain",
        }
        turns += [
            {"role": "assistant", "content": called.content},
            {"role": "user", "content": [result]},
        ]
        answered = client.messages.create(**ask("", tools=[TOOL], messages=turns))
        assert "The tool said: Rain" in answered.content[-1].text
        called.content[0].signature = "forged"
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            client.messages.create(**ask("", tools=[TOOL], messages=turns))


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        ({"temperature": 0.5}, 400, "temperature"),
        ({"frobnicate": 1}, 400, "frobnicate: Extra inputs"),
        ({"messages": [{"role": "user", "content": ""}]}, 400, "non-empty"),
        ({"messages": [{"role": "user", "content": "@error=529"}]}, 529, "scripted error 529"),
    ],
)
def test_messages_refuses(messages: FakeUpstream, more: dict, status: int, told: str):
    with anthropic_client(messages) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**ask("Hi"), extra_body=more)
    assert caught.value.status_code == status
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        ({"top_k": 5}, 400, "top_k"),
        ({"parallel_tool_calls": False}, 400, "parallel_tool_calls"),
        ({"stop": list("abcde")}, 400, "stop"),
        ({"messages": [{"role": "user", "content": "@error=503"}]}, 503, "scripted error 503"),
    ],
)
def test_chat_refuses(chat: FakeUpstream, more: dict, status: int, told: str):
    with openai_client(chat) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**ask("Hi"), extra_body=more)
    assert caught.value.status_code == status
    assert told in caught.value.message


def test_broken_streams_break(messages: FakeUpstream, chat: FakeUpstream):
    with anthropic_client(messages) as client, pytest.raises(anthropic.APIStatusError):
        for _ in client.messages.create(**ask("@error_after=4 Hi"), stream=True):
            pass
    with openai_client(chat) as other, pytest.raises(openai.APIError, match="scripted error"):
        for _ in other.chat.completions.create(**ask("@error_after=4 Hi"), stream=True):
            pass
    with anthropic_client(messages) as client, pytest.raises(Exception, match="incomplete"):
        for _ in client.messages.create(**ask("@cut_after=4 Hi"), stream=True):
            pass


def test_limits_and_stop_sequences_are_kept(messages: FakeUpstream, chat: FakeUpstream):
    with anthropic_client(messages) as client:
        capped = client.messages.create(**{**ask("Hi"), "max_tokens": 2})
        stopped = client.messages.create(**ask("Hi"), stop_sequences=["began"])
    assert (capped.content[-1].text, capped.stop_reason) == ("This is", "max_tokens")
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "began")
    with openai_client(chat) as other:
        short = other.chat.completions.create(**{**ask("Hi"), "max_tokens": 2})
    assert short.choices[0].finish_reason == "length"
    assert (
        short.usage.completion_tokens == 2 + short.usage.completion_tokens_details.reasoning_tokens
    )
