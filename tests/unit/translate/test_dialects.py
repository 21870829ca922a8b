from itertools import pairwise

import pytest
from msgspec.structs import replace

from tollbridge.config import DIALECTS, ConfigError, parse_config
from tollbridge.dialect_config import DialectOverrides
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Catalog
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.dialects import (
    DIALECT_ROWS,
    Dialect,
    Prefill,
    SchemaLevel,
    SystemPlace,
    dialect_for,
    dialect_of,
)
from tollbridge.translate.tables import EFFORTS
from tollbridge.wire.chat.requests import ChatRequest


def test_every_dialect_of_the_configuration_has_exactly_one_row():
    assert set(DIALECT_ROWS) == set(DIALECTS)
    with pytest.raises(GatewayError):
        dialect_of("klingon")


@pytest.mark.parametrize("name", DIALECTS)
def test_a_row_is_consistent(name: str):
    row = dialect_of(name)
    assert (row.reasoning_field is None) == (row.reasoning_turns == "never")
    assert 16 <= row.tool_name_max <= 128
    assert row.stream_options or not row.continuous_usage


@pytest.mark.parametrize("name", DIALECTS)
def test_every_effort_can_be_said_and_off_differs_from_on(name: str):
    row = dialect_of(name)
    if row.set_thinking is None:
        return
    said = []
    for effort in EFFORTS:
        request = ChatRequest(model="m", messages=[])
        row.set_thinking(request, effort.chat, None)
        said.append(request)
    assert all(said[0] != on for on in said[1:])
    order = [row.chat for row in EFFORTS]
    efforts = [request.reasoning_effort for request in said]
    for weaker, stronger in pairwise(effort for effort in efforts if effort):
        assert order.index(weaker) <= order.index(stronger)


def test_a_target_has_its_own_way_with_system_messages_and_refused_schemas():
    terms = UpstreamTerms("m", "generic", 10)
    assert dialect_for(terms) == dialect_of("generic")
    assert dialect_for(replace(terms, system_messages="keep")).system is SystemPlace.IN_PLACE
    assert dialect_for(replace(terms, system_messages="merge")).system is SystemPlace.LEADING
    assert dialect_for(replace(terms, system_messages="user")).system is SystemPlace.USER_TEXT
    avoiding = replace(terms, avoid=ErrorCode.SCHEMA_REFUSED)
    assert dialect_for(avoiding).schema is SchemaLevel.BARE


CALLED_OTHERWISE = {"set_thinking": "thinking", "system": "system_messages"}


def test_every_member_of_a_row_can_be_overridden():
    members = {CALLED_OTHERWISE.get(name, name) for name in Dialect._fields}
    assert set(DialectOverrides.__struct_fields__) == members


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('thinking = "none"', {"set_thinking": None}),
        ('thinking = "enable_thinking"', {"set_thinking": DIALECT_ROWS["qwen"].set_thinking}),
        ('reasoning_field = "none"', {"reasoning_field": None}),
        ('reasoning_field = "reasoning"', {"reasoning_field": "reasoning"}),
        ('system_messages = "merge"', {"system": SystemPlace.LEADING}),
        ('prefill = "continue_final"', {"prefill": Prefill.CONTINUE_FINAL}),
        ('schema = "bare"', {"schema": SchemaLevel.BARE}),
        ("top_k = true\ntool_name_max = 96", {"top_k": True, "tool_name_max": 96}),
        ('count_path = "/count"', {"count_path": "/count"}),
    ],
)
def test_what_one_server_does_otherwise(text: str, expected: dict[str, object]):
    config = parse_config(
        '[upstreams.lab]\nbase_url = "http://a"\nprotocol = "chat"\ndialect = "openai"\n'
        f'[upstreams.lab.dialect_overrides]\n{text}\n[models.m]\ntargets = [{{upstream="lab"}}]\n',
        {},
    )
    (model,) = Catalog.of(config)
    (target,) = model.targets
    row = dialect_of(target.dialect, target.overrides)
    assert row == DIALECT_ROWS["openai"]._replace(**expected)


@pytest.mark.parametrize("text", ['thinking = "loud"', "top_j = true", 'top_k = "yes"'])
def test_an_override_that_cannot_be(text: str):
    with pytest.raises(ConfigError, match=r"upstreams.*dialect_overrides"):
        parse_config(
            '[upstreams.lab]\nbase_url = "http://a"\nprotocol = "chat"\n'
            f"[upstreams.lab.dialect_overrides]\n{text}\n",
            {},
        )
