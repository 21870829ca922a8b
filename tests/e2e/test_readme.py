"""What a person pastes, pasted: the README's block and those that `serve` prints."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.gateway import ROOT, Gateway

from tollbridge.cli.banner import Opening, banner

NODE_MODULES = ROOT / "tests" / "e2e" / "node" / "node_modules"
INTRODUCTION = "I am Tollbridge's built-in demo model"


def spent(demo: Gateway) -> int:
    (pack,) = demo.run("pack", "list")
    assert pack["granted"] == pack["available"] + pack["held"] + pack["spent"] + pack["expired"]
    assert pack["held"] == 0
    return int(pack["spent"])


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(demo: Gateway) -> str:
    """What `serve` says at the first start, with this gateway's address and key."""
    opening = Opening(
        root_url=demo.root_url,
        environment=demo.environment,
        key=demo.key,
        models=["hy3-preview"],
        demo_models=["hy3-preview"],
        available=0,
        environments=1,
        domain="",
    )
    return banner(opening)


def block(text: str, begin: str, end: str) -> str:
    """The lines from the one that begins so to the one that ends so."""
    found = re.search(rf"^{re.escape(begin)}.*?{re.escape(end)}$", text, re.DOTALL | re.MULTILINE)
    assert found is not None, text
    return found[0]


def test_the_readmes_block_streams_an_answer_and_is_charged(demo: Gateway, tmp_path: Path):
    text = (ROOT / "README.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0]
    assert "http://127.0.0.1:8787/" in code
    code = code.replace("http://127.0.0.1:8787", demo.root_url).replace("<YOUR_KEY>", demo.key)
    before = spent(demo)
    assert run(sys.executable, "-c", code, cwd=tmp_path).startswith(INTRODUCTION)
    assert spent(demo) - before == 136_000_000, "as the README says: 8 tokens in, 128 out"


def test_the_python_block(demo: Gateway, tmp_path: Path):
    code = block(printed(demo), "import anthropic", "flush=True)")
    assert run(sys.executable, "-c", code, cwd=tmp_path).startswith(INTRODUCTION)


def test_the_node_block(demo: Gateway, tmp_path: Path):
    if not NODE_MODULES.exists():
        pytest.skip("the Node packages could not be installed; see LEFT OUT below")
    (tmp_path / "node_modules" / "@anthropic-ai").mkdir(parents=True)
    (tmp_path / "node_modules" / "@anthropic-ai" / "sdk").symlink_to(NODE_MODULES / "anthropic-1")
    (tmp_path / "pasted.js").write_text(block(printed(demo), "const Anthropic", ".text));"))
    assert "demo model" in run("node", "pasted.js", cwd=tmp_path)


def test_the_curl_block(demo: Gateway, tmp_path: Path):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    said = run("sh", "-c", block(printed(demo), "curl", "}'"), cwd=tmp_path)
    assert said.startswith("data: {")
    assert said.endswith("data: [DONE]\n\n")
