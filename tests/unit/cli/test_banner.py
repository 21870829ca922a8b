import ast
import re

from tollbridge.cli.banner import Opening, banner
from tollbridge.units import MICRO

OPENING = Opening(
    root_url="http://127.0.0.1:8787",
    environment="env-abcdefgh",
    key="tb_the-key",
    models=["hy3-preview", "demo"],
    demo_models=["hy3-preview", "demo"],
    available=1_000_000 * MICRO,
    environments=1,
    domain="",
)
BASE = "http://127.0.0.1:8787/v1/ai/cloudbase"


def test_the_first_run_has_all_that_a_first_request_needs():
    text = banner(OPENING)
    assert "tb_the-key  (shown this once)" in text
    assert "1,000,000 credits" in text
    assert "it is no AI" in text
    assert f'auth_token="tb_the-key", base_url="{BASE}"' in text
    assert f"curl -N {BASE}/chat/completions" in text
    assert f"ANTHROPIC_BASE_URL={BASE} ANTHROPIC_AUTH_TOKEN=tb_the-key" in text
    assert "Ctrl-C" in text


def test_the_python_block_is_python():
    block = re.search(r"^import anthropic.*?\n\n", banner(OPENING), re.DOTALL | re.MULTILINE)
    assert block is not None
    tree = ast.parse(block[0])
    assert any(isinstance(node, ast.With) for node in tree.body)


def test_a_later_start_has_no_key_to_show():
    text = banner(OPENING._replace(key=None, demo_models=[], environments=3))
    assert "<YOUR_KEY>" in text
    assert "tollbridge key create" in text
    assert "(one of 3)" in text
    assert "demo model" not in text


def test_without_models():
    text = banner(OPENING._replace(models=[], demo_models=[], available=0))
    assert "none is switched on" in text
    assert "Balance                 0 credits" in text
    assert 'model="<MODEL>"' in text


def test_a_domain_gives_each_environment_an_address():
    text = banner(OPENING._replace(domain="example.com"))
    assert "https://env-abcdefgh.api.example.com/v1/ai/cloudbase" in text


def test_for_scripts():
    assert OPENING.as_json() == {
        "base_url": BASE,
        "root_url": "http://127.0.0.1:8787",
        "environment": "env-abcdefgh",
        "key": "tb_the-key",
        "models": ["hy3-preview", "demo"],
        "demo": True,
        "demo_models": ["hy3-preview", "demo"],
        "available_micro_credits": 1_000_000 * MICRO,
        "compiled": False,
    }
