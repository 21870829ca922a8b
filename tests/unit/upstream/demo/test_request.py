import json
from typing import Any

import pytest

from tollbridge.upstream.demo import tokens
from tollbridge.upstream.demo.request import (
    InvalidRequestError,
    OtherBlock,
    TextBlock,
    ToolResultBlock,
    read,
)

BASE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


def body(**fields: Any) -> bytes:
    return json.dumps({**BASE, **fields}).encode()


def content(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def test_a_string_is_one_text_block() -> None:
    prompt = read(body())
    assert prompt.messages[0].blocks == (TextBlock("Hi"),)
    assert (prompt.model, prompt.max_tokens, prompt.stream) == ("m", 9, False)


def test_unknown_members_and_blocks_pass() -> None:
    prompt = read(
        body(
            speed="fast",
            system=[{"type": "text", "text": "Be kind", "cache_control": {"type": "ephemeral"}}],
            **content(
                {"type": "server_tool_use", "id": 5, "input": None},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}},
                {"type": "thinking", "thinking": "", "signature": "x"},
                {"type": "text", "text": "Hi", "citations": None},
            ),
        )
    )
    assert prompt.system == "Be kind"
    kinds = [b.kind for b in prompt.messages[0].blocks if isinstance(b, OtherBlock)]
    assert kinds == ["server_tool_use", "image", "thinking"]


def test_a_tool_result_is_text_whatever_it_brings() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "a",
        "is_error": True,
        "content": [{"type": "text", "text": "18 C"}, {"type": "tool_reference", "tool_name": "x"}],
    }
    prompt = read(body(**content(result, {"type": "tool_result", "tool_use_id": "b"})))
    assert prompt.messages[0].blocks == (
        ToolResultBlock("a", "18 C [tool_reference]", True),
        ToolResultBlock("b", "", False),
    )


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"max_tokens": None}, "max_tokens: Expected `int`, got `null`"),
        ({"max_tokens": -1}, "max_tokens: Expected `int` >= 0"),
        ({"temperature": 1.5}, "temperature: Expected `float` <= 1.0"),
        ({"top_p": "x"}, "top_p: Expected `float | null`, got `str`"),
        ({"messages": {}}, "messages: Expected `array`, got `object`"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "bot", "content": ""}]}, "messages.0.role: Invalid enum value"),
        (content(7), "messages.0.content.0: Expected `object`, got `int`"),
        (content({}), "messages.0.content.0.type: Field required"),
        (content({"type": "text"}), "messages.0.content.0.text: Field required"),
        (
            content({"type": "tool_use", "id": "a b", "name": "x", "input": {}}),
            "messages.0.content.0.id: ",
        ),
        (
            content({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}),
            "messages.0.content.0.content.0.text: Field required",
        ),
        ({"system": 1}, "system: Expected"),
        ({"tools": [{"name": "a b"}]}, "tools.0.name: "),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type: Invalid enum value 'maybe'"),
        ({"thinking": {}}, "thinking.type: Field required"),
    ],
)
def test_complaints_name_the_field(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(body(**fields))
    assert str(caught.value).startswith(complaint)


def test_max_tokens_is_needed_except_for_counting() -> None:
    bare = json.dumps({"model": "m", "messages": []}).encode()
    with pytest.raises(InvalidRequestError, match=r"^max_tokens: Field required$"):
        read(bare)
    assert read(bare, counting=True).max_tokens is None


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"null", b'{"model":"\xff"}'])
def test_what_is_not_a_json_object(bad: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read(bad)


def test_everything_in_the_prompt_counts() -> None:
    def cost(**fields: Any) -> int:
        return read(body(**fields)).input_tokens

    least = cost()
    assert least == tokens.count("Hi") + 6
    assert cost(system="one two") == least + 2
    assert cost(tools=[{"name": "a", "input_schema": {"type": "object"}}]) > least + 10
    picture = {"type": "image", "source": {"type": "base64", "data": "A" * 9000}}
    assert cost(**content(picture)) == tokens.ATTACHMENT_TOKENS + 6
