"""Models by name, as far as an environment may use them."""

import pytest

from tollbridge.config import parse_config
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import NAME_CHARS_MAX, Catalog, Target

CATALOG = Catalog.of(
    parse_config(
        """
        [upstreams.lab]
        base_url = "http://lab.test"
        protocol = "chat"
        dialect = "vllm"
        [models."org/big"]
        targets = [{upstream = "lab", model = "served"}, {upstream = "demo"}]
        display_name = "Big"
        context_window = 1000
        output_limit = 100
        [models.small]
        targets = [{upstream = "lab"}]
        """,
        {},
    )
)
ON = frozenset({"org/big", "gone"})


def refusal(group, name, on=ON):
    with pytest.raises(GatewayError) as raised:
        CATALOG.resolve(group, name, on)
    return raised.value


def test_a_model_with_its_targets():
    model = CATALOG.resolve("cloudbase", "org/big", ON)
    assert model.targets == (
        Target("lab", "served", "chat", "vllm"),
        Target("demo", "org/big", "messages", "demo", rank=1),
    )
    assert not model.shares
    assert (model.display_name, model.context_window, model.output_limit) == ("Big", 1000, 100)


def test_the_operator_s_choice_for_system_messages_is_every_target_s():
    text = """
    [models.m]
    targets = [{upstream = "demo"}, {upstream = "demo", model = "other"}]
    system_messages = "merge"
    """
    (model,) = Catalog.of(parse_config(text, {}))
    assert [target.system_messages for target in model.targets] == ["merge", "merge"]


def test_names_default_to_the_model_s():
    (small,) = [model for model in CATALOG if model.name == "small"]
    assert small.display_name == "small"
    assert small.targets[0].model == "small"
    assert CATALOG.names() == ["org/big", "small"]


def test_the_operator_s_group_in_any_case():
    assert CATALOG.resolve("CloudBase", "org/big", ON).name == "org/big"


def test_another_group():
    error = refusal("mine", "org/big")
    assert error.code is ErrorCode.GROUP_UNKNOWN
    assert "'mine'" in error.message


def test_an_unknown_model_names_those_that_are_on():
    error = refusal("cloudbase", "nothing")
    assert (error.code, error.field) == (ErrorCode.MODEL_UNKNOWN, "model")
    assert "switched on here: org/big." in error.message


def test_a_model_that_is_off():
    error = refusal("cloudbase", "small", frozenset())
    assert (error.code, error.field) == (ErrorCode.MODEL_DISABLED, "model")
    assert "no model is switched on here" in error.message


@pytest.mark.parametrize(
    ("group", "name"), [("cloudbase", "x" * 10**6), ("x" * 10**6, "m")], ids=["name", "group"]
)
def test_errors_do_not_repeat_long_names(group, name):
    assert len(refusal(group, name).message) < NAME_CHARS_MAX + 200


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("{model = 'a'}, {model = 'b'}", "a0 b1"),
        ("{model = 'a', weight = 3}, {model = 'b', weight = 1}", "a0 b0"),
        ("{model = 'a', weight = 3}, {model = 'b', weight = 1}, {model = 'c'}", "a0 b0 c1"),
        ("{model = 'a'}, {model = 'b', weight = 1}, {model = 'c', weight = 1}", "a0 b1 c1"),
        ("{model = 'a', weight = 1}, {model = 'b'}, {model = 'c', weight = 1}", "a0 b1 c2"),
        ("{model = 'a', priority = 2}, {model = 'b', priority = 1}, {model = 'c'}", "c0 b1 a2"),
        ("{model = 'a', weight = 1}, {model = 'b', weight = 1, priority = 1}", "a0 b1"),
    ],
    ids=range(7),
)
def test_ranks(targets, expected):
    text = f"[models.m]\ntargets = [{targets}]".replace("{", "{upstream = 'demo', ")
    (model,) = Catalog.of(parse_config(text, {}))
    assert " ".join(f"{target.model}{target.rank}" for target in model.targets) == expected
    assert model.shares == (len(set(expected[1::3])) < len(model.targets))


def test_weights_and_affinity():
    text = "targets = [{upstream = 'demo', weight = 2.5}, {upstream = 'demo', model = 'b'}]"
    (model,) = Catalog.of(parse_config(f"[models.m]\n{text}\naffinity = false", {}))
    assert [target.weight for target in model.targets] == [2.5, 1.0]
    assert not model.affinity
    assert model.hedge_ms is None
    assert CATALOG.resolve("cloudbase", "org/big", ON).affinity
