"""What a model takes, by its name."""

import pytest

from tollbridge.translate.claude import abilities
from tollbridge.translate.dialects import SystemPlace


@pytest.mark.parametrize(
    ("model", "system", "prefill", "sampling", "thinking"),
    [
        ("claude-3-5-sonnet-20241022", False, True, True, "none"),
        ("claude-3-7-sonnet-latest", False, True, True, "budget"),
        ("claude-opus-4-20250514", False, True, True, "budget"),
        ("claude-sonnet-4-5-20250929", False, True, True, "budget"),
        ("anthropic/claude-opus-4.6", False, False, True, "adaptive"),
        ("claude-opus-4-7", False, False, False, "adaptive"),
        ("claude-opus-4-8", True, False, False, "adaptive"),
        ("claude-sonnet-5.5", True, False, False, "adaptive"),
        ("claude-unheard-of", False, False, False, "adaptive"),
        ("an-alias", False, False, False, "adaptive"),
    ],
)
def test_versions(model: str, system: bool, prefill: bool, sampling: bool, thinking: str) -> None:
    able = abilities(model, "anthropic")
    assert able.system is (SystemPlace.IN_PLACE if system else SystemPlace.USER_TEXT)
    assert able.prefill is prefill
    assert able.sampling is sampling
    assert able.thinking == thinking
    assert able.anthropic
    assert not able.unsigned_thinking


def test_other_servers_take_what_the_old_models_took() -> None:
    able = abilities("claude-opus-4-8", "generic")
    assert able.system is SystemPlace.USER_TEXT
    assert able.sampling
    assert able.prefill
    assert not able.output_config
    assert not able.unsigned_thinking
    assert abilities("deepseek-chat", "deepseek").unsigned_thinking
