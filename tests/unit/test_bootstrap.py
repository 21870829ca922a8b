"""Settings in, a wired gateway out; a worker lives from start-up to shutdown."""

import asyncio
from pathlib import Path

import pytest

from tollbridge.access.cipher import UnreadableSecretError
from tollbridge.bootstrap import (
    SEAL_KEY_BYTES,
    SEAL_KEY_NAME,
    Settings,
    build_gateway,
    build_servers,
    build_webhook,
    open_store,
    read_cipher,
    read_config,
    read_seal_key,
)
from tollbridge.config import AlertsConfig, ConfigError, ServerConfig, parse_config
from tollbridge.storage.database import DATABASE_NAME

TEXT = """
[upstreams.lab]
base_url = "http://127.0.0.1:9"
protocol = "chat"
api_key = "env:LAB_KEY"
[models.m]
targets = [{upstream = "lab"}]
[models.d]
targets = [{upstream = "demo"}]
price = {output = 2}
"""
CONFIG = parse_config(TEXT, {"LAB_KEY": "sk-secret"})


def test_a_file_is_read(tmp_path):
    path = tmp_path / "tollbridge.toml"
    path.write_text(TEXT)
    assert read_config(path, {"LAB_KEY": "sk-secret"}) == CONFIG


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "tollbridge.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^cannot be read"):
        read_config(path, {})


def test_a_mark_at_the_beginning_that_editors_put_there_is_no_error(tmp_path):
    path = tmp_path / "tollbridge.toml"
    path.write_text("[server]\nport = 9000\n", encoding="utf-8-sig")
    assert read_config(path, {}).server.port == 9000


def test_the_store_makes_its_folder(tmp_path):
    async def scenario():
        store = open_store(tmp_path / "a" / "b")
        await store.close("")

    asyncio.run(scenario())
    assert (tmp_path / "a" / "b" / DATABASE_NAME).is_file()


def test_a_server_for_each_upstream_and_the_demo():
    async def scenario():
        servers = build_servers(CONFIG, 0, {})
        assert set(servers) == {"lab", "demo"}
        assert "sk-secret" not in repr(servers)
        for server in servers.values():
            await server.close()

    asyncio.run(scenario())


def test_the_gateway_is_wired(tmp_path):
    async def scenario():
        gateway = build_gateway(Settings(CONFIG, tmp_path, 0))
        assert gateway.catalog.names() == ["m", "d"]
        assert gateway.prices["d"].base.output == 2_000_000
        assert gateway.prices["d"].version != gateway.prices["m"].version
        other = build_gateway(Settings(CONFIG, tmp_path, 0))
        assert other.pulse.worker_id != gateway.pulse.worker_id
        assert len(gateway.entropy(16)) == 16
        for each in (gateway, other):
            await each.store.close(each.pulse.worker_id)

    asyncio.run(scenario())


def test_the_seal_key_is_made_once_and_is_nobody_else_s(tmp_path):
    made = read_seal_key(CONFIG, tmp_path)
    assert len(made) == SEAL_KEY_BYTES
    assert read_seal_key(CONFIG, tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [SEAL_KEY_NAME]
    assert (tmp_path / SEAL_KEY_NAME).stat().st_mode & 0o077 == 0


def test_the_seal_key_of_the_operator_makes_no_file(tmp_path):
    config = parse_config('[server]\nseal_key = "wax"', {})
    assert len(read_seal_key(config, tmp_path)) == SEAL_KEY_BYTES
    assert read_seal_key(config, tmp_path) == read_seal_key(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_is_looked_for_beside_the_file(tmp_path: Path):
    path = tmp_path / "tollbridge.toml"
    path.write_text('[models.m]\ntargets = [{upstream = "demo"}]\ntokenizer = "t/tokenizer.json"\n')
    with pytest.raises(ConfigError, match=r'models\."m"\.tokenizer: there is no file'):
        read_config(path, {})


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://hooks.test/a/b?c=d", "/a/b?c=d"),
        ("http://hooks.test:8080", "/"),
    ],
)
def test_the_webhook_of_alerts(url, path):
    webhook = build_webhook(AlertsConfig(webhook=url, secret="s3cret"), {})
    assert (webhook.path, webhook.secret) == (path, b"s3cret")


def test_without_a_webhook_the_log_is_enough():
    assert build_webhook(AlertsConfig(), {}) is None


def test_the_key_of_secrets_is_made_once_and_found_again(tmp_path):
    about, nonce = ("group",), bytes(12)
    sealed = read_cipher(ServerConfig(), tmp_path).encrypt("sk", about, nonce)
    path = tmp_path / "secrets.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_cipher(ServerConfig(), tmp_path).decrypt(sealed, about) == "sk"
    named = ServerConfig(secrets_key="named", secrets_keys_old=("older",))
    sealed = read_cipher(ServerConfig(secrets_key="older"), tmp_path).encrypt("sk", about, nonce)
    assert read_cipher(named, tmp_path).decrypt(sealed, about) == "sk"
    with pytest.raises(UnreadableSecretError):
        read_cipher(ServerConfig(), tmp_path).decrypt(sealed, about)


def test_a_deployment_outgrows_the_file(tmp_path):
    about, nonce = ("group",), bytes(12)
    sealed = read_cipher(ServerConfig(), tmp_path).encrypt("sk", about, nonce)
    named = read_cipher(ServerConfig(secrets_key="named"), tmp_path)
    assert named.decrypt(sealed, about) == "sk"
    assert not named.is_current(sealed)
    elsewhere = tmp_path / "replica"
    elsewhere.mkdir()
    with pytest.raises(UnreadableSecretError):
        read_cipher(ServerConfig(secrets_key="named"), elsewhere).decrypt(sealed, about)
    assert not list(elsewhere.iterdir()), "no file is made where it is not needed"


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        (
            '[upstreams.lab]\nbase_url = "http://u:s3cret@lab"\nprotocol = "chat"',
            {},
            r"^upstreams\.lab\.base_url: credentials belong into api_key",
        ),
        (
            '[upstreams.lab]\nbase_url = "http://lab"\nprotocol = "chat"',
            {"ALL_PROXY": "socks5://u:s3cret@p"},
            r"^upstreams\.lab\.proxy: the variable ALL_PROXY: must begin with http://",
        ),
        (
            '[upstreams.lab]\nbase_url = "https://lab"\nprotocol = "chat"\ntls_ca = "ca.pem"',
            {},
            r"^upstreams\.lab\.tls_ca: '.*/ca\.pem' cannot be read",
        ),
        (
            '[alerts]\nwebhook = "http://u:s3cret@hooks"\nsecret = "x"',
            {},
            r"^alerts\.webhook: credentials belong",
        ),
    ],
)
def test_what_cannot_be_reached_is_found_before_the_start(tmp_path, text, environ, message):
    path = tmp_path / "tollbridge.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path, environ)
    assert "s3cret" not in str(caught.value)
