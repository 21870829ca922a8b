"""llama.cpp's own server on a model that the tests generate, behind the real gateway."""

import contextlib
import functools
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.gateway import ROOT, Gateway, running
from tests.e2e.http_calls import Answer, call

CONTEXT = 2_048
START_TIMEOUT_S = 30
MODEL = "toll-talk"
"""What clients call it; the engine calls it `tiny`."""


@dataclass
class Engine:
    """The gateway, and the engine behind it."""

    gateway: Gateway
    root_url: str

    def ask(self, path: str, body: dict[str, Any], **headers: str) -> Answer:
        """A request through the gateway, below its base URL."""
        return call(self.gateway.base_url + path, body, key=self.gateway.key, **headers)

    def direct(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the engine itself says."""
        return call(self.root_url + path, body, method="GET" if body is None else "POST").json()

    def busy(self) -> bool:
        """Whether the engine is generating."""
        return any(slot["is_processing"] for slot in self.direct("/slots"))

    def charged(self) -> int:
        """Micro-credits that the ledger has taken for this model so far."""
        return sum(row["charged"] for row in self.gateway.run("usage", "--env", self.environment))

    @property
    def environment(self) -> str:
        """The environment of the key."""
        return self.gateway.environment

    @functools.cached_property
    def messages(self) -> anthropic.Anthropic:
        """The Messages SDK."""
        return anthropic.Anthropic(
            base_url=self.gateway.base_url, api_key=self.gateway.key, max_retries=0
        )

    @functools.cached_property
    def chat(self) -> openai.OpenAI:
        """The Chat SDK."""
        return openai.OpenAI(
            base_url=self.gateway.base_url, api_key=self.gateway.key, max_retries=0
        )


@contextlib.contextmanager
def engine_running(folder: Path) -> Iterator[str]:
    """The engine's process; gives the address it listens on."""
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.llama_server", str(folder), str(CONTEXT)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
            line = process.stdout.readline() if ready else b""
            assert line, (folder / "engine.log").read_text()[-4_000:]
            yield json.loads(line)["root_url"]
        finally:
            process.stdin.close()  # the engine ends with its input
            process.wait(START_TIMEOUT_S)
            process.stdout.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine and one gateway for all tests here."""
    pytest.importorskip("xllamacpp", reason="there is no wheel of llama.cpp for this machine")
    folder = tmp_path_factory.mktemp("engine")
    with engine_running(folder) as root_url:
        config = folder / "tollbridge.toml"
        config.write_text(
            f'[upstreams.engine]\nbase_url = "{root_url}/v1"\nprotocol = "chat"\n'
            f'dialect = "llama.cpp"\n[models.{MODEL}]\non_by_default = true\n'
            f"context_window = {CONTEXT}\n"
            f'targets = [{{ upstream = "engine", model = "tiny" }}]\n'
        )
        with running(Gateway(folder / "data", config)) as gateway:
            made = Engine(gateway, root_url)
            with made.messages, made.chat:
                yield made
