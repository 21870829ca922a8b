"""The documented examples, run as they stand by the vendors' own SDKs, current and older majors.

Every client protocol meets every upstream protocol, with and without thinking nobody asked for.
One process per SDK version runs all its examples.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests.e2e.conftest import SWITCHED_OFF, UPSTREAMS, Bridge
from tests.e2e.gateway import ROOT, Gateway

HERE = Path(__file__).parent
TEST_ENV = ROOT / ".test-env"
DEMO_MODEL = "hy3-preview"


@dataclass(frozen=True)
class Sdk:
    """One version of one SDK."""

    vendor: str
    """`anthropic` or `openai`: the folder of its examples."""
    language: str
    where: str
    """Node: the package's alias. Python: a folder under `.test-env`, or empty for our own."""

    @property
    def name(self) -> str:
        return f"{self.language}-{self.where or self.vendor + '-current'}"

    @property
    def left_out(self) -> str:
        """Why it cannot run here, or nothing."""
        if self.language == "python":
            here = not self.where or (TEST_ENV / self.where / ".done").is_file()
            return "" if here else f"{self.where} is not installed: `make test` does it"
        if not (HERE / "node" / "node_modules" / self.where).is_dir() or not shutil.which("node"):
            noted = TEST_ENV / "left-out" / "node"
            return noted.read_text().strip() if noted.is_file() else "run `make test` for npm"
        return ""

    def run(self, jobs: list[dict[str, str]]) -> dict[str, dict[str, str]]:
        """Run all examples in one process."""
        environment = dict(os.environ)
        if self.language == "node":
            command = ["node", str(HERE / "node" / "run_examples.js")]
        else:
            command = [sys.executable, "-W", "error", str(HERE / "run_examples.py")]
            if self.where:
                environment["PYTHONPATH"] = str(TEST_ENV / self.where)
        done = subprocess.run(
            command,
            input=json.dumps({"alias": self.where, "jobs": jobs}).encode(),
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        outcomes: dict[str, dict[str, str]] = json.loads(done.stdout)
        return outcomes


SDKS = (
    Sdk("anthropic", "python", ""),
    Sdk("anthropic", "python", "anthropic-previous"),
    Sdk("anthropic", "node", "anthropic-1"),
    Sdk("anthropic", "node", "anthropic-0"),
    Sdk("openai", "python", ""),
    Sdk("openai", "python", "openai-previous"),
    Sdk("openai", "node", "openai-7"),
    Sdk("openai", "node", "openai-6"),
    Sdk("openai", "node", "openai-5"),
)
MODELS = (DEMO_MODEL, *UPSTREAMS)
ANSWERED = ("non_streaming", "streaming", "multi_turn", "migration", "error_handling", "parameters")
REFUSED = {
    "wrong_key": (401, "key"),
    "unknown_model": (404, "no-such-model"),
    "switched_off": (404, SWITCHED_OFF),
}


def file_of(sdk: Sdk, example: str) -> Path:
    suffix = "js" if sdk.language == "node" else "py"
    return HERE / "seed" / sdk.vendor / f"{example}.{suffix}"


def jobs_for(sdk: Sdk, bridge: Gateway, demo: Gateway) -> list[dict[str, str]]:
    """Every example with every model, and the error example with what must be refused."""

    def job(gateway: Gateway, example: str, model: str, name: str = "", key: str = ""):
        # Both spellings of the address are documented for the OpenAI SDK.
        v1 = "/v1" if (sdk.vendor, sdk.language) == ("openai", "python") else ""
        return {
            "name": name or f"{example}:{model}",
            "file": str(file_of(sdk, example)),
            "base_url": gateway.base_url + v1,
            "key": key or gateway.key,
            "model": model,
        }

    jobs = [
        job(demo if model == DEMO_MODEL else bridge, example, model)
        for model in MODELS
        for example in ANSWERED
        if file_of(sdk, example).is_file()
    ]
    return [
        *jobs,
        job(bridge, "error_handling", "chat", "wrong_key", key="not-a-key-of-ours"),
        job(bridge, "error_handling", "no-such-model", "unknown_model"),
        job(bridge, "error_handling", SWITCHED_OFF, "switched_off"),
    ]


@pytest.fixture(scope="session")
def outcome(bridge: Bridge, demo: Gateway):
    """What an SDK printed for one job; its process runs once."""

    @cache
    def all_of(sdk: Sdk) -> dict[str, dict[str, str]]:
        return sdk.run(jobs_for(sdk, bridge.gateway, demo))

    def one(sdk: Sdk, name: str) -> dict[str, str]:
        if sdk.left_out:
            pytest.skip(f"{sdk.name} is left out: {sdk.left_out}")
        return all_of(sdk)[name]

    return one


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("sdk", "example"),
    [
        pytest.param(sdk, example, id=f"{sdk.name}-{example}")
        for sdk in SDKS
        for example in ANSWERED
        if file_of(sdk, example).is_file()
    ],
)
def test_example_prints_an_answer(outcome, sdk: Sdk, example: str, model: str):
    printed = outcome(sdk, f"{example}:{model}")
    assert "uncaught" not in printed, printed["uncaught"]
    assert printed["stderr"] == ""
    text = printed["stdout"].strip()
    assert text
    assert "The user is at turn" not in text, "thinking nobody asked for was printed as the answer"
    if example == "multi_turn":
        # Said in the first turn only: the second answer knows it from the conversation.
        assert "Li Bai" in text.splitlines()[-1]
    if model == DEMO_MODEL:
        return
    match example:
        case "streaming":
            assert text == "This is turn 1. You began with: Introduce yourself"
        case "multi_turn":
            assert text.splitlines()[-1] == (
                "This is turn 2. You began with: What is Li Bai's most famous poem?"
                " You now said: What is the background of that poem?"
                " My instructions: You are a poetry expert."
            )
        case "parameters":
            assert text.endswith("You began with: Hello My instructions: You are terse.")
        case _:
            assert text == "This is turn 1. You began with: Hello"


@pytest.mark.parametrize("refusal", REFUSED)
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_refusal_is_an_api_error_with_status_and_message(outcome, sdk: Sdk, refusal: str):
    printed = outcome(sdk, refusal)
    assert "uncaught" not in printed, printed["uncaught"]
    assert printed["stdout"] == ""
    status, word = REFUSED[refusal]
    assert printed["stderr"].startswith(f"API Error: {status} ")
    assert word in printed["stderr"]
