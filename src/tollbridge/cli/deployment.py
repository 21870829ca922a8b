"""What is deployed: the operator's file, or what is found when there is none."""

import asyncio
import os
from pathlib import Path

from tollbridge.bootstrap import CONFIG_NAME, check_upstreams, read_config
from tollbridge.cli.context import load_config
from tollbridge.cli.output import fail
from tollbridge.config import DEMO_UPSTREAM, Config, ConfigError, ModelConfig, TargetConfig
from tollbridge.upstream.probe import discover, http_get

SEED_MODEL = "hy3-preview"


def deployed(path: Path | None, *, as_json: bool = False) -> Config:
    """The file; without one, what keys in the environment and local servers offer."""
    config = load_config(path, as_json=as_json)
    if config is None:
        config = found()
        try:
            check_upstreams(config, os.environ)
        except ConfigError as error:
            fail(f"{error}; mend the environment or write a tollbridge.toml", as_json=as_json)
    return config


def deployed_again(path: Path | None) -> Config:
    """The same for a gateway that is running. `path` is that of the file it was started with.

    Raises:
        ConfigError: the file is gone or not good; names the setting and the remedy.
    """
    if path is None and Path(CONFIG_NAME).exists():
        path = Path(CONFIG_NAME)
    try:
        if path is not None:
            return read_config(path, os.environ)
        config = found()
        check_upstreams(config, os.environ)
    except ConfigError as error:
        raise ConfigError(
            f"{path or 'the environment'}: {error}; mend it and try `tollbridge config check`,"
            " then reload again"
        ) from error
    return config


def found() -> Config:
    """Upstreams that need no file. With none of them, the built-in model serves `hy3-preview`."""
    discovery = asyncio.run(discover(os.environ, http_get))
    demo = ModelConfig(
        targets=(TargetConfig(upstream=DEMO_UPSTREAM, model="demo"),),
        display_name="Tollbridge demo model",
        on_by_default=True,
    )
    models = dict(discovery.models)
    if not models:
        models[SEED_MODEL] = demo
    models["demo"] = demo
    return Config(upstreams=dict(discovery.upstreams), models=models)
