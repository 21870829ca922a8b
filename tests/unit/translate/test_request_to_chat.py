import pytest
from tests.unit.translate.chat_streams import (
    Json,
    assistant,
    block,
    bridged,
    chat_request,
    tool_use,
    user,
)

from tollbridge.config import DIALECTS
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.dialects import DIALECT_ROWS
from tollbridge.translate.dispositions import MESSAGES
from tollbridge.wire.messages.requests import MessagesRequest


def test_every_member_that_is_decoded_has_a_disposition():
    decoded = set(MessagesRequest.__struct_fields__)
    fields = MESSAGES["request field"]
    assert decoded <= set(fields)
    assert {name for name, row in fields.items() if row.disposition != "dropped"} <= decoded


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_least_request_in_every_dialect(dialect: str):
    sent = chat_request({}, dialect, max_tokens=77)
    limit = "max_completion_tokens" if dialect == "openai" else "max_tokens"
    least = {"model": "up", "messages": [{"role": "user", "content": "Hi"}], limit: 77}
    if DIALECT_ROWS[dialect].cancels_answers:
        assert sent == {**least, "stream": False}
    else:
        assert sent == {**least, "stream": True, "stream_options": {"include_usage": True}}


def test_system_blocks_are_set_apart():
    sent = chat_request({"system": [block("one"), block(""), block("two")]})
    assert sent["messages"][0] == {"role": "system", "content": "one\n\ntwo"}


def test_vllm_36829_the_attribution_of_the_client_program_is_left_out():
    mark = "x-anthropic-billing-header: cc_version=2; cch=1a2b;"
    for system in (
        [block(mark), block("Be kind.")],
        f"{mark}\nBe kind.",
        [block(f"{mark}\nBe kind.")],
    ):
        assert chat_request({"system": system})["messages"][0]["content"] == "Be kind."
    assert chat_request({"system": mark})["messages"][0]["role"] == "user"


def test_a_stream_always_asks_for_usage():
    assert chat_request({"stream": True})["stream_options"] == {"include_usage": True}
    assert chat_request({"stream": True}, "vllm")["stream_options"] == {
        "include_usage": True,
        "continuous_usage_stats": True,
    }
    assert "stream_options" not in chat_request({"stream": False})


def test_sampling():
    body = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["a", "", "b"]}
    sent, bridge = bridged(body, "vllm")
    assert (sent["temperature"], sent["top_p"], sent["top_k"]) == (0.5, 0.9, 40)
    assert sent["stop"] == ["a", "b"]
    assert bridge.dropped == ()
    sent, bridge = bridged({"top_k": 40, "stop_sequences": list("abcdef")}, "openai")
    assert "top_k" not in sent
    assert bridge.dropped == ("top_k",)


def test_a_server_that_does_not_name_the_match_is_read_as_a_stream_and_not_told_the_sequences():
    for dialect in ("openai", "generic", "ollama"):
        sent, bridge = bridged({"stop_sequences": list("abcdef")}, dialect)
        assert "stop" not in sent
        assert sent["stream"] is True
        assert sent["stream_options"]["include_usage"] is True
        assert bridge.gathers
        assert bridge.dropped == ()
    sent, bridge = bridged({"stop_sequences": [""]}, "openai")
    assert (sent["stream"], bridge.gathers) == (False, False)


def test_whom_a_request_is_for_is_told_as_a_hash():
    body = {"metadata": {"user_id": '{"device_id":"d","session_id":"s"}'}}
    sent = chat_request(body, "openai")
    assert len(sent["safety_identifier"]) == 64
    assert sent["prompt_cache_key"] == sent["safety_identifier"]
    assert "device" not in str(chat_request(body, "generic"))


ADAPTIVE = {"type": "adaptive", "display": "omitted"}


@pytest.mark.parametrize(
    ("body", "dialect", "expected"),
    [
        ({"thinking": ADAPTIVE}, "openai", {}),
        ({"output_config": {"effort": "xhigh"}}, "openai", {"reasoning_effort": "xhigh"}),
        ({"output_config": {"effort": "max"}}, "hunyuan", {"reasoning_effort": "high"}),
        ({"thinking": {"type": "disabled"}}, "hunyuan", {"reasoning_effort": "none"}),
        (
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            "openai",
            {"reasoning_effort": "none"},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "openai",
            {"reasoning_effort": "low"},
        ),
        (
            {"thinking": ADAPTIVE, "output_config": {"effort": "high"}},
            "deepseek",
            {"thinking": {"type": "enabled"}},
        ),
        ({"thinking": {"type": "disabled"}}, "glm", {"thinking": {"type": "disabled"}}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9000}},
            "qwen",
            {"enable_thinking": True, "thinking_budget": 9000},
        ),
        ({"thinking": {"type": "between_tools"}}, "qwen", {"enable_thinking": False}),
        (
            {"thinking": {"type": "disabled"}},
            "sglang",
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
        ({"output_config": {"effort": "low"}}, "openrouter", {"reasoning": {"effort": "low"}}),
        ({"thinking": {"type": "disabled"}}, "openrouter", {"reasoning": {"enabled": False}}),
        ({"output_config": {"effort": "high"}}, "generic", {}),
        ({"output_config": {"effort": "novel"}}, "openai", {}),
    ],
)
def test_thinking_is_steered_in_the_dialects_way(body: Json, dialect: str, expected: Json):
    sent = chat_request(body, dialect)
    switches = ("reasoning_effort", "thinking", "enable_thinking", "thinking_budget",
                "chat_template_kwargs", "reasoning")  # fmt: skip
    assert {name: sent[name] for name in switches if name in sent} == expected


OPEN = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
CLOSED = {**OPEN, "required": ["a", "b"], "additionalProperties": False}


@pytest.mark.parametrize("member", ["output_config", "output_format"])
def test_the_form_of_the_answer(member: str):
    for schema, strict in ((OPEN, False), (CLOSED, True)):
        form = {"type": "json_schema", "schema": schema}
        body = {member: {"format": form} if member == "output_config" else form}
        assert chat_request(body, "openai")["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": strict},
        }


def test_the_form_of_the_answer_where_only_json_is_known():
    form = {"format": {"type": "json_schema", "schema": OPEN}}
    sent, bridge = bridged({"output_config": form}, "deepseek")
    assert sent["response_format"] == {"type": "json_object"}
    assert '"properties"' in sent["messages"][0]["content"]
    assert bridge.dropped == ("output_config.format",)


def test_claude_code_21595_hints_of_betas_never_reach_the_upstream():
    body = {
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "cache_control": {"type": "ephemeral"},
        "service_tier": "auto",
        "speed": "fast",
        "tools": [{"name": "t", "input_schema": {"type": "object"}, "cache_control": {}}],
        "messages": [user([{**block("Hi"), "cache_control": {"type": "ephemeral"}}])],
    }
    sent, bridge = bridged(body)
    assert set(sent) == {"model", "messages", "max_tokens", "stream", "tools"}
    assert "cache_control" not in str(sent)
    assert bridge.dropped == ()


def test_constraints_that_cannot_be_said_are_reported():
    body = {"container": "c", "mcp_servers": [], "fallbacks": None, "diagnostics": {}}
    assert bridged(body)[1].dropped == ("container", "mcp_servers", "diagnostics")


def test_what_is_reported_is_fit_for_a_header():
    kinds = ["x\r\nset-cookie: a", "ü" * 500, *(f"new_{n}" for n in range(99))]
    blocks = [block("a"), *({"type": kind} for kind in kinds)]
    dropped = bridged({"messages": [user(blocks)]})[1].dropped
    assert dropped[0] == "messages.content.x__set-cookie__a"
    assert all(name.isascii() and name.isprintable() for name in dropped)
    assert len(", ".join(dropped)) < 4_000


@pytest.mark.parametrize(
    "body", [{"compaction": {"type": "summarize"}}, {"thread": {"type": "continue"}}]
)
def test_what_an_answer_would_be_a_lie_without_is_refused(body: Json):
    with pytest.raises(GatewayError) as caught:
        chat_request(body)
    assert caught.value.code is ErrorCode.FIELD_UNSUPPORTED
    assert caught.value.field == next(iter(body))


def test_a_new_thread_and_absent_members_are_no_reason_to_refuse():
    assert chat_request({"thread": {"type": "create"}, "compaction": None})["model"] == "up"


def test_a_request_can_be_said_again_to_another_target():
    turns = [user("a"), assistant(block("b"), tool_use("c", "n" * 100))]
    first, bridge = bridged({"messages": turns, "top_k": 3}, "openai")
    second = bridge.request(UpstreamTerms("other", "vllm", 5))
    assert bridge.dropped == ()
    assert b'"model":"other"' in second
    again = bridge.request(UpstreamTerms("up", "openai", 100))
    assert again == bridged({"messages": turns, "top_k": 3}, "openai")[1].request(
        UpstreamTerms("up", "openai", 100)
    )
    assert first["messages"][1]["tool_calls"]
