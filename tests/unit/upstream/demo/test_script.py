from typing import Any

import pytest
from tests.unit.upstream.demo.conftest import TOOLS, Answer, Ask, fold

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Hello", {}),
    ("[demo: empty]", {}),
    ("Count to 9", {"stop_sequences": ["5"]}),
    ("Count to 9", {"max_tokens": 4}),
    ("Hello", {"thinking": {"type": "adaptive"}}),
    ("Hello", {"thinking": {"type": "adaptive", "display": "omitted"}}),
    ("[demo: think unasked] call both tools", {"tools": TOOLS}),
    ("[demo: refuse]", {}),
]


@pytest.mark.parametrize(("said", "fields"), CASES)
def test_a_folded_stream_is_the_one_shot_answer(ask: Ask, said: str, fields: Any) -> None:
    whole = ask(said, **fields).json
    folded = fold(ask(said, stream=True, **fields).events)
    ids = {block.pop("id", "") for block in (*whole["content"], *folded["content"])}
    assert ids - {""} or "both tools" not in said
    whole.pop("id")
    folded.pop("id")
    assert folded == whole


def test_one_ping_after_the_first_block_was_opened(ask: Ask) -> None:
    types = [e["type"] for e in ask(CASES[6][0], stream=True, tools=TOOLS).events]
    assert types[:3] == ["message_start", "content_block_start", "ping"]
    assert types.count("ping") == 1


def test_the_json_of_a_tool_comes_in_fragments_the_first_one_empty(ask: Ask) -> None:
    events = ask("weather in Rome", stream=True, tools=TOOLS).events
    fragments = [e["delta"]["partial_json"] for e in events if e["type"] == "content_block_delta"]
    assert fragments[0] == ""
    assert len(fragments) > 3
    assert "".join(fragments) == '{"city":"Rome"}'


def test_a_tool_that_is_cut_streams_half_of_its_json(ask: Ask) -> None:
    events = ask("[demo: tool add] [demo: tool cut]", stream=True, tools=TOOLS).events
    deltas = [e["delta"]["partial_json"] for e in events if e["type"] == "content_block_delta"]
    assert '{"a":1,"b":1}'.startswith("".join(deltas))
    assert 0 < len("".join(deltas)) < 13
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


def test_every_piece_takes_its_time(ask: Ask) -> None:
    steps = ask("[demo: words 5]", stream=True, pace_ms=15).script.steps
    assert [s.wait_ms for s in steps] == [0, 0, 0, 15, 15, 15, 15, 15, 0, 0, 0]
    steps = ask("[demo: words 5] [demo: pace 3]", stream=True, pace_ms=15).script.steps
    assert sum(s.wait_ms for s in steps) == 15
    assert [s.wait_ms for s in ask("[demo: words 5]", pace_ms=15).script.steps] == [0]


@pytest.mark.parametrize("stream", [True, False])
def test_a_stall_is_in_the_middle(ask: Ask, stream: bool) -> None:
    plain = ask("[demo: words 9]", stream=stream)
    stalled = ask("[demo: words 9] [demo: stall 5]", stream=stream)
    waits = [step.wait_ms for step in stalled.script.steps]
    assert sum(waits) == 5000
    assert waits[0] == waits[-1] == 0 or not stream
    assert abs(len(plain.raw) - len(stalled.raw)) < 5


def test_an_error_in_the_middle_ends_the_stream(ask: Ask) -> None:
    answer = ask("[demo: fail midstream] Hello", stream=True)
    events = answer.events
    assert not answer.script.cut
    assert events[-1]["error"]["type"] == "overloaded_error"
    assert any(e["type"] == "content_block_delta" for e in events)
    assert {"message_delta", "message_stop"}.isdisjoint(e["type"] for e in events)
    assert ask("[demo: fail midstream] Hello").status == 529


@pytest.mark.parametrize("said", ["[demo: cut] Hello", "[demo: cut] [demo: empty]"])
def test_a_cut_stream_has_no_end(ask: Ask, said: str) -> None:
    answer = ask(said, stream=True)
    assert answer.script.cut
    assert b"message_stop" not in answer.raw
    assert b"message_delta" not in answer.raw


def test_a_cut_document_is_half(ask: Ask) -> None:
    answer = ask("[demo: cut] Hello")
    assert answer.script.cut
    assert len(answer.raw) == int(answer.script.headers["content-length"]) // 2


def _kind(answer: Answer) -> str:
    kind: str = answer.json["error"]["type"]
    return kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
        (599, "api_error"),
    ],
)
def test_errors_have_the_vendors_shape(ask: Ask, status: int, kind: str) -> None:
    answer = ask(f"[demo: fail {status}]", stream=True)
    assert answer.status == status
    assert _kind(answer) == kind
    assert answer.json["request_id"] == answer.script.headers["request-id"]
    assert answer.script.headers.get("retry-after") == ("1" if status in {429, 529} else None)
