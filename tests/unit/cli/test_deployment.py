from pathlib import Path

import pytest
import typer

from tollbridge.cli import deployment
from tollbridge.cli.deployment import SEED_MODEL, deployed, deployed_again, found
from tollbridge.config import ConfigError, ModelConfig, TargetConfig, UpstreamConfig
from tollbridge.upstream.probe import Discovery


def test_with_nothing_around_the_demo_model_serves_the_seeds_model():
    config = found()
    assert list(config.models) == [SEED_MODEL, "demo"]
    assert all(model.on_by_default for model in config.models.values())
    assert not config.upstreams


def test_what_is_found_is_deployed_beside_the_demo_model(monkeypatch: pytest.MonkeyPatch):
    async def discover(*_: object) -> Discovery:
        upstream = UpstreamConfig(base_url="http://127.0.0.1:11434/v1", protocol="chat")
        model = ModelConfig(targets=(TargetConfig(upstream="ollama"),))
        return Discovery({"ollama": upstream}, {"qwen": model})

    monkeypatch.setattr(deployment, "discover", discover)
    config = deployed(None)
    assert list(config.models) == ["qwen", "demo"]
    assert list(config.upstreams) == ["ollama"]


def test_a_file_is_all_there_is(config: Path):
    assert list(deployed(config).models) == ["demo", "vendor/chat"]


def test_the_file_of_this_folder_is_taken(config: Path):
    config.rename("tollbridge.toml")
    assert list(deployed(None).models) == ["demo", "vendor/chat"]


def test_a_proxy_that_cannot_be_used_is_told_without_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async def discover(*_: object) -> Discovery:
        upstream = UpstreamConfig(base_url="https://models.example/v1", protocol="chat")
        return Discovery({"openai": upstream}, {})

    monkeypatch.setattr(deployment, "discover", discover)
    monkeypatch.setenv("ALL_PROXY", "socks5://u:s3cret@p")
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(typer.Exit):
        deployed(None)
    told = capsys.readouterr().err
    assert "upstreams.openai.proxy: the variable ALL_PROXY: must begin with http://" in told
    assert "s3cret" not in told


def test_a_running_gateway_finds_again_what_is_there(config: Path):
    assert list(deployed_again(None).models) == [SEED_MODEL, "demo"]
    config.rename("tollbridge.toml")
    assert list(deployed_again(None).models) == ["demo", "vendor/chat"]


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "cannot be read"), ("[server]\nport = 'x'\n", "server.port")]
)
def test_a_running_gateway_is_told_what_is_wrong(config: Path, text: str | None, reason: str):
    config.unlink()
    if text is not None:
        config.write_text(text)
    with pytest.raises(ConfigError, match=f"{config}: {reason}.*config check.*reload"):
        deployed_again(config)
