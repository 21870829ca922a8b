"""A run of each size measures what it must, and nothing that a target cannot do."""

import pytest
from bench.gateway.bars import BARS, GATEWAY, client_of
from bench.gateway.results import pair_name
from bench.gateway.selection import FULL, QUICK, STANDARD, TARGETS, Selection

SIZES = {"quick": QUICK, "standard": STANDARD, "full": FULL}


def measured(selection: Selection, only=()) -> set[tuple[str, str, str]]:
    return {
        (load.name, target.name, pair_name(*pair))
        for load, target, pairs in selection.cells(only)
        for pair in pairs
    }


@pytest.mark.parametrize("size", ["standard", "full"])
def test_every_bar_can_be_judged(size):
    cells = measured(SIZES[size])
    for bar in BARS:
        assert any((bar.load, GATEWAY, pair) in cells for pair in bar.pairs), bar.text


def test_a_full_run_has_the_references_of_every_bar():
    cells = measured(FULL)
    for bar in BARS:
        named = [name for name in ("nginx", "Caddy", "SMG", "LiteLLM") if f"{name}'s" in bar.text]
        for name in named:
            for pair in bar.pairs:
                assert (bar.load, name.lower(), client_of(pair)) in cells, bar.text


@pytest.mark.parametrize("size", SIZES)
def test_targets_take_turns_at_each_load(size):
    loads = [load.name for load, _, _ in SIZES[size].cells(())]
    assert loads == sorted(loads, key=loads.index)


@pytest.mark.parametrize("size", ["standard", "full"])
@pytest.mark.parametrize("name", ["vllm-router", "portkey", "claude-code-router"])
def test_other_gateways_take_part_in_few_loads(size, name):
    cells = measured(SIZES[size])
    loads = {load for load, target, _ in cells if target == name}
    assert loads == {"one-shot", "paced-200", "first-token"}


def test_translations_have_other_translators_beside_them():
    cells = measured(STANDARD)
    for pair, name in (
        ("messages on chat", "claude-code-router"),
        ("messages on chat", "litellm"),
        ("chat on messages", "portkey"),
    ):
        assert ("paced-200", name, pair) in cells


def test_only_one_target():
    assert {target for _, target, _ in measured(FULL, ["nginx"])} == {"nginx"}


def test_a_load_by_name_is_measured_on_all_targets():
    cells = measured(QUICK.narrowed(["paced-1000"]))
    assert {load for load, _, _ in cells} == {"paced-1000"}
    able = {name for name, target in TARGETS.items() if not target.loads}
    assert {target for _, target, _ in cells} == able - {"smg"}  # which speaks Chat alone
