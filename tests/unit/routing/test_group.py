import pytest
from tests.contract.samples import group

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.group import ANY_MODEL, name_problem
from tollbridge.units import MODEL_CHARS_MAX


def test_a_model_is_known_to_the_ledger_under_its_groups_name():
    kimi = group("kimi", models=("k2", "lab/k3"), protocol="messages", dialect="kimi")
    model = kimi.resolve("lab/k3")
    assert (model.name, model.own) == ("own:kimi/lab/k3", True)
    (target,) = model.targets
    assert (target.upstream, target.model) == ("own:acme/kimi", "lab/k3")
    assert (target.protocol, target.dialect) == ("messages", "kimi")


def test_what_is_not_listed_is_refused_with_what_is():
    with pytest.raises(GatewayError, match="lists no model 'k9'; it has: k2, k3") as raised:
        group("kimi", models=("k2", "k3")).resolve("k9")
    assert raised.value.code is ErrorCode.MODEL_UNKNOWN
    assert raised.value.field == "model"
    with pytest.raises(GatewayError, match="it has: none"):
        group("kimi", models=()).resolve("k9")


def test_any_name_passes_where_none_is_listed():
    kimi = group("kimi", models=(ANY_MODEL, "k2"))
    assert kimi.resolve("whatever").targets[0].model == "whatever"
    assert [model.name for model in kimi.listed()] == ["k2"]


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\u202e", "x" * (MODEL_CHARS_MAX + 1)])
def test_a_name_that_the_ledger_could_not_keep(name: str):
    with pytest.raises(GatewayError, match=r"model: the name '.*' is no model's") as raised:
        group("kimi", models=(ANY_MODEL,)).resolve(name)
    assert raised.value.code is ErrorCode.MODEL_UNKNOWN
    assert len(raised.value.message) < 300
    longest = "模" * MODEL_CHARS_MAX
    assert group("kimi", models=(ANY_MODEL,)).resolve(longest).targets[0].model == longest


def test_a_secret_is_not_in_the_repr():
    assert "sealed" not in repr(group("kimi", secret=b"sealed", hint="-end"))


@pytest.mark.parametrize("name", ["kimi-custom", "a", "0", "deep.seek_2", "x" * 64])
def test_good_names(name: str):
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cloudbase", "operator's"),
        ("CloudBase-mine", "operator's"),
        ("receipts", "meaning of its own"),
        ("models", "meaning of its own"),
        ("", "at most 64"),
        ("Kimi", "lower-case"),
        ("-kimi", "begins with"),
        ("a/b", "at most 64"),
        ("x" * 65, "at most 64"),
        ("kimi\n", "at most 64"),
    ],
)
def test_bad_names(name: str, words: str):
    assert words in name_problem(name)
