"""What is wrong with a file is told by the entry's own name and with what would be right."""

import pytest

from tollbridge.config import ConfigError, parse_config

UPSTREAM = '[upstreams.{}]\nbase_url = "http://h/v1"\nprotocol = "chat"\n'
TWO = UPSTREAM.format("east") + UPSTREAM.format("west")
MODEL = '[models."a.b"]\ntargets = [{{ upstream = "demo"{} }}]\n'

CASES = [
    ("[server]\nprot = 1", "server: there is no setting `prot`; there are host, port, "),
    ("[servr]", "there is no setting `servr`; there are server, storage, "),
    ('[server]\nport = "x"', "server.port: must be a whole number, got text"),
    ("[server]\nport = 99999", "server.port: must be at most 65535"),
    (TWO + "total_timeout_s = '5'", "upstreams.west.total_timeout_s: must be a number, got text"),
    (TWO + "connect_timeout_s = -1", "upstreams.west.connect_timeout_s: must be more than 0.0"),
    (TWO + "timeout = 1", "upstreams.west: there is no setting `timeout`; there are base_url, "),
    ("[upstreams.a]\nprotocol = 'chat'", "upstreams.a: it needs the setting `base_url`"),
    (
        "[upstreams.a]\nbase_url = 'http://h'\nprotocol = 'chatt'",
        "upstreams.a.protocol: there is no 'chatt'; there are chat, messages",
    ),
    (
        TWO + "dialect_overrides = { prefill = 'bar' }",
        "upstreams.west.dialect_overrides.prefill: there is no 'bar'; there are ",
    ),
    (
        MODEL.format(", wight = 1"),
        'models."a.b".targets[0]: there is no setting `wight`; there are upstream, model, priority',
    ),
    (MODEL.format(", weight = 0"), 'models."a.b".targets[0].weight: must be more than 0.0'),
    ("[models]\nm = 5", "models.m: must be a table, got a whole number"),
    ("upstreams = []", "upstreams: must be a table, got a list"),
    ("a = " + "[" * 100_000, "nested too deeply"),
    (UPSTREAM.format("a").replace("/v1", "/v1/chat/completions"), "leave out /chat/completions"),
    ("[server]\ndomain = 'https://example.com'", "server.domain: a name alone"),
]


@pytest.mark.parametrize(("text", "told"), CASES)
def test_a_mistake_is_told_with_its_setting_and_the_remedy(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, {})
    assert told in str(raised.value)
