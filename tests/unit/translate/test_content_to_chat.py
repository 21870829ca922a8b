import msgspec
import pytest
from tests.unit.translate.chat_streams import (
    Json,
    assistant,
    block,
    bridged,
    chat_request,
    tool_result,
    tool_use,
    user,
)

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.content_to_chat import Conversation
from tollbridge.translate.dialects import Dialect, Prefill, SystemPlace
from tollbridge.translate.signatures import client_tool_id, sign_thinking
from tollbridge.translate.tool_names import ToolNames
from tollbridge.wire.messages.requests import Turn

PNG = {"type": "base64", "media_type": "image/jpeg", "data": "iVBORw0KGgoAAAA"}
IMAGE = {"type": "image", "source": PNG}
IMAGE_PART = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAA"},
}


def said(*messages: Json, dialect: str = "generic", **body: object) -> list[Json]:
    sent: list[Json] = chat_request({"messages": list(messages), **body}, dialect)["messages"]
    return sent


def system(text: str) -> Json:
    return {"role": "system", "content": text}


def test_vllm_34745_a_result_bears_the_id_of_its_call():
    sent = said(user("a"), assistant(tool_use("c1")), user([tool_result("c1", "42")]))
    assert sent[1]["tool_calls"][0]["id"] == "c1"
    assert sent[2] == {"role": "tool", "tool_call_id": "c1", "content": "42"}


def test_litellm_28995_results_follow_their_calls_at_once_whatever_stood_before_them():
    sent = said(
        user("a"),
        assistant(tool_use("c1"), tool_use("c2")),
        user([block("so:"), tool_result("c2"), tool_result("c1"), block("and now?")]),
    )
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert [message["tool_call_id"] for message in sent[2:4]] == ["c2", "c1"]
    assert sent[4]["content"] == "so:\n\nand now?"


@pytest.mark.parametrize("dialect", ["generic", "openai", "anthropic", "vllm", "deepseek"])
def test_vllm_44000_and_others_a_system_role_in_messages_is_understood(dialect: str):
    sent = said(user("a"), system("Mind the gap."), dialect=dialect)
    assert any("Mind the gap." in message["content"] for message in sent)


def test_claude_code_77698_no_system_message_but_the_first_where_templates_refuse():
    body = [user("a"), system("b"), assistant(block("c")), system("d"), user("e")]
    sent = said(*body, dialect="llama.cpp", system="s")
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[1]["content"] == "a\n\n<system-reminder>\nb\n</system-reminder>"
    assert sent[3]["content"] == "<system-reminder>\nd\n</system-reminder>\n\ne"
    in_place = said(*body, dialect="openai", system="s")
    assert [message["role"] for message in in_place] == [
        "system", "user", "system", "assistant", "system", "user",
    ]  # fmt: skip


def test_a_system_message_before_all_others_leads():
    assert said(system("s"), user("a"), system="top")[0] == system("top\n\ns")


def test_a_system_message_may_be_merged_into_the_first():
    dialect = Dialect(system=SystemPlace.LEADING)
    conversation = Conversation(dialect, ToolNames(64), b"")
    conversation.leading.append("top")
    for index, (role, text) in enumerate([("user", "a"), ("system", "s"), ("user", "b")]):
        conversation.add(index, Turn(role=role, content=text))
    assert [message.content for message in conversation.finish()] == ["top\n\ns", "a\n\nb"]


@pytest.mark.parametrize("place", SystemPlace)
def test_a_request_may_end_with_a_system_message(place: SystemPlace):
    conversation = Conversation(Dialect(system=place, prefill=Prefill.BARE), ToolNames(64), b"")
    for index, (role, text) in enumerate([("user", "a"), ("assistant", "b"), ("system", "s")]):
        conversation.add(index, Turn(role=role, content=text))
    messages = conversation.finish()
    assert messages[-1].role in ("user", "system"), "the model is asked for a turn of its own"
    assert not conversation.prefill
    assert any("s" in str(message.content) for message in messages)


def test_a_system_message_never_parts_calls_from_their_results():
    body = [user("a"), assistant(tool_use("c1")), system("s"), user([tool_result("c1")])]
    sent = said(*body, dialect="openai")
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "user"]


def test_ollama_2026_03_27_arguments_keep_the_order_and_spelling_of_their_keys():
    body = msgspec.json.encode([user("a"), assistant(tool_use("c1"))]).replace(
        b'"input":{}', b'"input": {"z": 1.50, "a": {"y": 1e3, "b": "\\u00e4 x"} }'
    )
    sent = said(*msgspec.json.decode(body, type=list[msgspec.Raw]))
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == (
        '{"z":1.50,"a":{"y":1e3,"b":"\\u00e4 x"}}'
    )


def test_input_that_was_cut_becomes_an_object():
    use = {**tool_use("c1"), "input": '{"a": "b'}
    sent = said(user("a"), assistant(use))
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == '{"_raw":"{\\"a\\": \\"b"}'


def test_neighbours_of_one_role_merge():
    sent = said(
        user("a"), user([block("b")]), assistant(block("c")), assistant(block("d")), user("e")
    )
    assert [message["content"] for message in sent] == ["a\n\nb", "cd", "e"]


def test_text_and_images_keep_their_order():
    sent = said(user([block("a"), IMAGE, block("b")]))
    assert sent[0]["content"] == [block("a"), IMAGE_PART, block("b")]
    url = {"type": "image", "source": {"type": "url", "url": "https://x.test/i.png"}}
    assert said(user([url]))[0]["content"][0]["image_url"]["url"] == "https://x.test/i.png"


def test_an_image_in_a_file_store_is_refused_by_its_path():
    for content in ([IMAGE, {"type": "image", "source": {"type": "file", "file_id": "f"}}],):
        with pytest.raises(GatewayError) as caught:
            said(user("a"), user(content))
        assert caught.value.code is ErrorCode.FIELD_UNSUPPORTED
        assert caught.value.field == "messages[1].content[1].source"


def test_images_of_results_follow_the_last_result():
    sent = said(
        user("a"),
        assistant(tool_use("c1"), tool_use("c2")),
        user([tool_result("c1", [IMAGE]), tool_result("c2", [block("t"), IMAGE]), block("go")]),
    )
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert sent[2]["content"] == "(The result is an image; it follows.)"
    assert sent[3]["content"] == "t"
    texts = [part.get("text") for part in sent[4]["content"]]
    assert "c1" in texts[0]
    assert "c2" in texts[2]
    assert texts[4] == "go"


def test_results_that_failed_are_empty_or_come_twice():
    sent = said(
        user("a"),
        assistant(tool_use("c1"), tool_use("c2")),
        user([
            tool_result("c1", "no", is_error=True),
            {"type": "tool_result", "tool_use_id": "c2"},
            tool_result("c1", [block("x"), block("y")]),
        ]),
    )  # fmt: skip
    assert [message["content"] for message in sent[2:]] == ["[tool error] no\nx\ny", ""]


def test_other_content_of_results_is_text():
    content = [
        {"type": "tool_reference", "tool_name": "Edit"},
        {"type": "search_result", "title": "T", "source": "S", "content": [block("found")]},
        {"type": "document", "source": {"type": "text", "data": "paper"}},
    ]
    sent = said(user("a"), assistant(tool_use("c1")), user([tool_result("c1", content)]))
    for words in ("Edit is now available", "Search result: T", "found", "paper"):
        assert words in sent[2]["content"]


def test_documents():
    plain = {"type": "document", "title": "T", "context": "C",
             "source": {"type": "text", "data": "body"}}  # fmt: skip
    assert said(user([plain]))[0]["content"] == "Document: T\nC\n\nbody"
    pdf = {"type": "document", "title": "T.pdf", "source": {"type": "base64", "data": "JVBERi0x"}}
    sent, bridge = bridged({"messages": [user([pdf])]})
    assert "T.pdf" in sent["messages"][0]["content"]
    assert bridge.dropped == ("messages.content.document",)
    part = said(user([pdf]), dialect="openai")[0]["content"][0]
    assert part["file"] == {
        "file_data": "data:application/pdf;base64,JVBERi0x",
        "filename": "T.pdf",
    }


def test_empty_text_is_left_out_and_an_empty_message_says_so():
    assert said(user([block("")])) == [{"role": "user", "content": "(empty)"}]
    sent = said(user("a"), assistant(block("")), user("b"))
    assert sent[1] == {"role": "assistant", "content": ""}
    assert "content" not in said(user("a"), assistant(block(""), tool_use("c")))[1]


def test_unknown_blocks_are_dropped_and_named_and_known_ones_silently():
    sent, bridge = bridged(
        {"messages": [user([block("a"), {"type": "hologram"}, {"type": "container_upload"}])]}
    )
    assert sent["messages"][0]["content"] == "a"
    assert bridge.dropped == ("messages.content.hologram",)


def test_server_tools_become_text():
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = [{"type": "web_search_result", "title": "T", "url": "https://x.test"}]
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": found}
    text = said(user("a"), assistant(search, result, block("So.")), user("b"))[1]["content"]
    assert '[called web_search: {"query":"q"}]' in text
    assert "- T https://x.test" in text
    assert text.endswith("So.")


def test_a_compaction_is_the_users_summary():
    sent = said(assistant({"type": "compaction", "content": "all"}, block("b")), user("c"))
    assert [message["role"] for message in sent if message["content"]] == [
        "user", "assistant", "user",
    ]  # fmt: skip
    assert "Summary of the conversation so far:\nall" in [message["content"] for message in sent]


def test_a_turn_that_is_a_compaction_leaves_no_empty_message():
    sent = said(assistant({"type": "compaction", "content": "all"}), user("c"))
    assert sent == [
        {"role": "user", "content": "Summary of the conversation so far:\nall\n\nc"},
    ]
    assert said(assistant({"type": "compaction", "content": None}), user("c")) == [
        {"role": "user", "content": "c"},
    ]


def test_images_name_the_call_as_the_upstream_does():
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    wrapped = client_tool_id("functions.Bash:0")
    sent = said(user("a"), assistant(tool_use(wrapped)), user([tool_result(wrapped, [image])]))
    assert sent[3]["content"][0]["text"] == "Images of the result of tool call functions.Bash:0:"


def test_wrapped_ids_are_the_upstreams_own_again():
    wrapped = client_tool_id("functions.Bash:0")
    sent = said(user("a"), assistant(tool_use(wrapped)), user([tool_result(wrapped)]))
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "functions.Bash:0"


# Reasoning of earlier turns.


def thinking(text: str, signature: str = "") -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


def test_openclaude_878_deepseek_gets_reasoning_on_every_turn():
    sent = said(
        user("a"),
        assistant(thinking("why"), tool_use("c1")),
        user([tool_result("c1")]),
        assistant(block("done")),
        user("b"),
        dialect="deepseek",
    )
    turns = [message["reasoning_content"] for message in sent if message["role"] == "assistant"]
    assert turns == ["why", ""]


def test_hidden_thinking_comes_back_from_its_signature():
    hidden = thinking("", sign_thinking(b"key", "the plan"))
    sent = said(user("a"), assistant(hidden, tool_use("c1")), dialect="deepseek")
    assert sent[1]["reasoning_content"] == "the plan"
    forged = thinking("", sign_thinking(b"other", "the plan"))
    sent = said(user("a"), assistant(forged, tool_use("c1")), dialect="deepseek")
    assert sent[1]["reasoning_content"] == ""


def test_the_field_and_the_turns_are_the_dialects():
    turns = [user("a"), assistant(thinking("w"), tool_use("c")), user([tool_result("c")]),
             assistant(thinking("v"), block("b")), user("c")]  # fmt: skip
    vllm = said(*turns, dialect="vllm")
    assert (vllm[1]["reasoning"], "reasoning" in vllm[3]) == ("w", False)
    assert not any(
        "reasoning" in key for message in said(*turns, dialect="openai") for key in message
    )


def test_openrouter_gets_signatures_and_encrypted_reasoning_back():
    own = thinking("x", sign_thinking(b"key"))
    redacted = {"type": "redacted_thinking", "data": "ENC"}
    turn = assistant(thinking("w", "SIG"), redacted, own, tool_use("c"))
    assert said(user("a"), turn, dialect="openrouter")[1]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "w", "signature": "SIG"},
        {"type": "reasoning.encrypted", "data": "ENC"},
        {"type": "reasoning.text", "text": "x"},
    ]


# A trailing assistant turn.


def test_prefill_by_the_upstreams_switch():
    turns = [user("a"), assistant(block("The answer is"))]
    vllm = chat_request({"messages": turns}, "vllm")
    assert (vllm["continue_final_message"], vllm["add_generation_prompt"]) == (True, False)
    assert vllm["messages"][-1] == {"role": "assistant", "content": "The answer is"}
    assert said(*turns, dialect="kimi")[-1]["partial"] is True
    assert said(*turns, dialect="llama.cpp")[-1] == {
        "role": "assistant",
        "content": "The answer is",
    }


def test_prefill_without_a_switch_is_an_instruction_and_named():
    sent, bridge = bridged({"messages": [user("a"), assistant(block("The answer is"))]})
    assert [message["role"] for message in sent["messages"]] == ["user"]
    assert sent["messages"][0]["content"].endswith("repeating it:\nThe answer is")
    assert bridge.dropped == ("prefill",)


@pytest.mark.parametrize(
    ("messages", "field", "code"),
    [
        ([{"role": "robot", "content": "a"}], "messages[0].role", ErrorCode.FIELD_INVALID),
        ([user([tool_result("")])], "messages[0].content[0].tool_use_id", ErrorCode.FIELD_MISSING),
        ([assistant(tool_use("a", ""))], "messages[0].content[0].name", ErrorCode.FIELD_MISSING),
    ],
)
def test_what_cannot_be_said_is_named(messages: list[Json], field: str, code: ErrorCode):
    with pytest.raises(GatewayError) as caught:
        said(*messages)
    assert (caught.value.field, caught.value.code) == (field, code)
