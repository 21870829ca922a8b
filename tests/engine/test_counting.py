"""`count_tokens` in front of the real engine: the engine's own count of what it would answer."""

from concurrent.futures import ThreadPoolExecutor

from tests.engine.conftest import CONTEXT, MODEL, Engine

TOOL = {
    "name": "open_gate",
    "description": "Open a gate of the bridge.",
    "input_schema": {"type": "object", "properties": {"gate": {"type": "integer"}}},
}
HELLO = [{"role": "user", "content": "Who goes there?"}]


def counted(engine: Engine, **members: object) -> int:
    answer = engine.ask("/v1/messages/count_tokens", {"model": MODEL, "messages": HELLO, **members})
    assert answer.status == 200, answer.body
    assert answer.headers["x-tollbridge-count"] == "exact"
    tokens: int = answer.json()["input_tokens"]
    return tokens


def used(engine: Engine, **members: object) -> int:
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 1, **members}
    usage = engine.ask("/v1/messages", body).json()["usage"]
    total: int = usage["input_tokens"] + usage["cache_read_input_tokens"]
    return total


def test_a_count_is_what_the_answer_will_report(engine: Engine):
    quiet = {"type": "disabled"}
    for members in (
        {},
        {"system": "Be brief."},
        {"tools": [TOOL]},
        {"thinking": quiet, "tools": [TOOL], "system": "Speak of boats. " * 30},
        {"messages": [*HELLO, {"role": "system", "content": "In the middle."}]},
    ):
        assert counted(engine, **members) == used(engine, **members)


def test_a_count_is_the_engine_s_tokenization_of_the_template(engine: Engine):
    shown = engine.direct("/apply-template", {"messages": HELLO})
    tokens = engine.direct("/tokenize", {"content": shown["prompt"], "parse_special": True})
    assert counted(engine) == len(tokens["tokens"])


def test_a_prompt_beyond_the_window_has_a_count(engine: Engine):
    assert counted(engine, system="zq " * CONTEXT) > CONTEXT


def test_two_dozen_at_once(engine: Engine):
    with ThreadPoolExecutor(24) as pool:
        counts = list(pool.map(lambda _: counted(engine, tools=[TOOL]), range(24)))
    assert len(set(counts)) == 1
