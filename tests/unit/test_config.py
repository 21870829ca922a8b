"""A file is taken whole or refused with the setting's name."""

import math

import pytest

from tollbridge.config import (
    DIALECTS,
    Config,
    ConfigError,
    ModelConfig,
    parse_config,
    parse_groups,
    parse_storage,
)

UPSTREAM = """
[upstreams.lab]
base_url = "https://lab.test/v1"
protocol = "chat"
"""


def refused(text, environ=None):
    with pytest.raises(ConfigError) as raised:
        parse_config(text, environ or {})
    return str(raised.value)


def model(line=""):
    return f'{UPSTREAM}[models.m]\ntargets = [{{upstream = "lab"}}]\n{line}\n'


def target(setting):
    return f'{UPSTREAM}[models.m]\ntargets = [{{upstream = "lab", {setting}}}]\n'


def test_an_empty_file_is_the_default():
    assert parse_config("", {}) == Config()
    assert Config().server.host == "127.0.0.1"


def test_a_whole_file():
    config = parse_config(
        model("[models.m.price]\noutput = 2.5") + '[models.d]\ntargets = [{upstream = "demo"}]', {}
    )
    assert config.models["m"].price.output == 2.5
    assert config.models["d"].targets[0].upstream == "demo"


def test_a_secret_comes_from_the_environment():
    text = UPSTREAM + 'api_key = "env:LAB_KEY"'
    config = parse_config(text, {"LAB_KEY": "sk-secret"})
    assert config.upstreams["lab"].api_key == "sk-secret"
    for environ in ({}, {"LAB_KEY": ""}):
        message = refused(text, environ)
        assert "upstreams.lab.api_key" in message
        assert "LAB_KEY" in message


def test_the_seal_key_comes_from_the_environment_too():
    text = '[server]\nseal_key = "env:SEAL"'
    assert parse_config(text, {"SEAL": "wax"}).server.seal_key == "wax"
    assert "server.seal_key" in refused(text)


def test_a_secret_is_in_no_repr_and_no_message():
    server = '[server]\nseal_key = "seal-secret"\n'
    config = parse_config(server + UPSTREAM + 'api_key = "sk-secret"', {})
    assert "secret" not in repr(config)
    assert "https://lab.test/v1" in repr(config)
    assert "sk-secret" not in refused(UPSTREAM + 'api_key = "sk-secret"\nspeed = 1')
    assert "sk-secret" not in refused(UPSTREAM + 'api_key = "sk-secret"\ndialect = "x"')
    assert "sk-secret" not in refused(UPSTREAM + 'api_key = "sk-secret')


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server", "at end of document"),
        ("[server]\nspeed = 1", "speed"),
        ("[server]\nport = 65536", "server.port"),
        ("[server]\nport = -1", "server.port"),
        ("[server]\nworkers = 0", "server.workers"),
        ("[server]\nbody_bytes_max = 0", "server.body_bytes_max"),
        (UPSTREAM + "idle_timeout_s = 0", "idle_timeout_s"),
        (UPSTREAM + "connect_timeout_s = inf", "connect_timeout_s"),
        (UPSTREAM + "connections_max = 0", "connections_max"),
        (UPSTREAM + "concurrency_max = 0", "concurrency_max"),
        (UPSTREAM + "concurrency_max = 513", "upstreams.lab.concurrency_max"),
        (UPSTREAM + "queue_max = -1", "queue_max"),
        (UPSTREAM + "queue_wait_s = 0", "queue_wait_s"),
        (UPSTREAM + 'dialect = "klingon"', "upstreams.lab.dialect"),
        (UPSTREAM + 'api_key = "sk-secret\\n"', "upstreams.lab.api_key: must be printable ASCII"),
        (UPSTREAM.replace("https://", "ftp://"), "upstreams.lab.base_url"),
        (UPSTREAM + "total_timeout_s = 0", "total_timeout_s"),
        (UPSTREAM + 'unix_socket = "run/x.sock"', "upstreams.lab.unix_socket"),
        (UPSTREAM + f'unix_socket = "/{"x" * 103}"', "upstreams.lab.unix_socket"),
        (UPSTREAM + 'unix_socket = "/x"\nproxy = "none"', "upstreams.lab.proxy"),
        (UPSTREAM + 'proxy = "env:NOT_SET"', "upstreams.lab.proxy"),
        (UPSTREAM + 'tls_ca = "ca.pem"\ntls_verify = false', "upstreams.lab.tls_ca"),
        (UPSTREAM.replace("https", "http") + 'tls_ca = "ca.pem"', "upstreams.lab.tls_ca"),
        (UPSTREAM.replace("https", "http") + "tls_verify = false", "upstreams.lab.tls_verify"),
        (UPSTREAM.replace("chat", "responses"), "protocol"),
        (UPSTREAM.replace("lab", "demo"), "upstreams.demo"),
        ("[models.m]\ntargets = []", 'models."m".targets'),
        ('[models.m]\ntargets = [{upstream = "lab"}]', 'models."m".targets[0].upstream'),
        ('[models.m]\ntargets = [{upstream = "demo"}]\nhedge_ms = 9', 'models."m".hedge_ms'),
        ('[models.m]\ntargets = [{upstream = "demo"}]\nhedge_ms = 0', "hedge_ms"),
        (target("weight = 0"), "targets[0].weight"),
        (target("weight = nan"), "targets[0].weight"),
        (target("priority = -1"), "targets[0].priority"),
        (model("output_limit = 0"), "output_limit"),
        (model("context_window = 0"), "context_window"),
        (model("[models.m.price]\noutput = -1"), 'models."m".price.output'),
        (model("[models.m.price]\ninput = 0.0000001"), 'models."m".price.input'),
        (model("[models.m.price]\ninput = 1001"), 'models."m".price.input'),
        (model("[models.m.price]\ncache_read = inf"), 'models."m".price.cache_read'),
        (
            model("[models.m.price]\ntiers = [{above = 9}, {above = 9}]"),
            'models."m".price.tiers[1].above',
        ),
        (model("[models.m.price]\ntiers = [{above = 0}]"), 'models."m".price.tiers[0].above'),
        (
            model("[models.m.price]\ntiers = [{above = 9, output = -1}]"),
            'models."m".price.tiers[0].output',
        ),
        ('[server]\nmetrics_key = "short"', "server.metrics_key"),
        ('[server]\nmetrics_key = "env:NO_SUCH"', "server.metrics_key"),
        ("[alerts]\nlevels = [0]", "alerts.levels"),
        ("[alerts]\nlevels = [101]", "alerts.levels"),
        ('[alerts]\nwebhook = "ftp://x"', "alerts.webhook"),
        ('[alerts]\nwebhook = "https://x.test/y"', "alerts.secret"),
        (model("[models.m.price]\ncache_write = nan"), 'models."m".price.cache_write'),
    ],
)
def test_refused_with_the_setting_s_name(text, named):
    assert named in refused(text)


def test_known_dialects():
    assert len(set(DIALECTS)) == len(DIALECTS)
    assert "generic" in DIALECTS


def test_weights_of_the_default_price_are_finite():
    price = ModelConfig(targets=()).price
    assert all(math.isfinite(weight) for weight in (price.input, price.cache_read, price.output))


def test_tiers_and_alerts():
    config = parse_config(
        model("[models.m.price]\ntiers = [{above = 16000, input = 2.0}]")
        + '[alerts]\nlevels = [90]\nwebhook = "env:HOOK"\nsecret = "env:KEY"',
        {"HOOK": "https://x.test/s3cret", "KEY": "s3cret"},
    )
    (tier,) = config.models["m"].price.tiers
    assert (tier.above, tier.input, tier.output) == (16_000, 2.0, None)
    assert (config.alerts.levels, config.alerts.webhook) == ((90,), "https://x.test/s3cret")
    assert "s3cret" not in repr(config)


def test_secrets_keys_come_from_the_environment():
    text = '[server]\nsecrets_key = "env:NEW"\nsecrets_keys_old = ["env:OLD", "plain"]'
    server = parse_config(text, {"NEW": "n3w", "OLD": "0ld"}).server
    assert (server.secrets_key, server.secrets_keys_old) == ("n3w", ("0ld", "plain"))
    assert "n3w" not in repr(server)
    assert "0ld" not in repr(server)
    with pytest.raises(ConfigError, match=r"server\.secrets_keys_old\[0\].* OLD is not set"):
        parse_config(text, {"NEW": "n3w"})


@pytest.mark.parametrize(
    ("text", "why"),
    [("x = " + "[" * 3000 + "]" * 3000, "too deeply"), ("x = " + "1" * 5000, "4300 digits")],
)
def test_what_is_too_deep_or_too_long_is_a_bad_file_like_any_other(text, why):
    assert why in refused(text)
    for parse in (parse_groups, parse_storage):
        with pytest.raises(ConfigError, match=why):
            parse(text, {})


def test_groups_need_no_other_secret_of_the_file():
    text = (
        '[server]\nsecrets_key = "env:NEW"\n[groups]\nallow_http = true\n'
        '[alerts]\nsecret = "env:ALERT"\n'
    )
    server, groups = parse_groups(text, {"NEW": "n3w"})
    assert (server.secrets_key, groups.allow_http, groups.allow_private) == ("n3w", True, False)
    with pytest.raises(ConfigError, match="groups: there is no setting `allow`"):
        parse_groups("[groups]\nallow = true", {})


@pytest.mark.parametrize(
    "text",
    [
        '[upstreams."own:acme/x"]\nbase_url = "https://a.test"\nprotocol = "chat"',
        '[models."own:x"]\ntargets = [{upstream = "demo"}]',
    ],
)
def test_names_of_what_environments_bring_are_theirs(text):
    assert "choose another" in refused(text)


def test_the_proxy_may_come_from_the_environment():
    config = parse_config(UPSTREAM + 'proxy = "env:LAB_PROXY"', {"LAB_PROXY": "http://u:s3cret@p"})
    assert config.upstreams["lab"].proxy == "http://u:s3cret@p"


def test_the_key_of_the_metrics_is_a_secret():
    config = parse_config('[server]\nmetrics_key = "env:KEY"', {"KEY": "s3cret" * 3})
    assert config.server.metrics_key == "s3cret" * 3
    assert "s3cret" not in repr(config)
