"""What servers that speak Messages can take; Anthropic's own differ by the model's version."""

import re
from typing import Literal, NamedTuple

from tollbridge.translate.dialects import SystemPlace

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_NEWEST = (99, 0)


class Abilities(NamedTuple):
    """What a model behind a Messages upstream takes."""

    system: SystemPlace
    """Where later system messages go. New models take them after a user turn (protocol notes A.4);
    merged into the first one they would cost the prompt's cache."""
    prefill: bool
    """Whether a trailing assistant turn is continued."""
    sampling: bool
    """Whether `temperature`, `top_p` and `top_k` are taken."""
    thinking: Literal["adaptive", "budget", "none"]
    """How it is told how much to think."""
    output_config: bool
    """Whether it takes `output_config`: effort, and a schema for the answer."""
    unsigned_thinking: bool
    """Whether thinking of earlier turns may come back without a signature."""
    anthropic: bool
    """Whether prompt caching and Anthropic's tools are there."""


UNSIGNED = frozenset(
    {"deepseek", "hunyuan", "qwen", "kimi", "glm", "vllm", "sglang", "ollama", "llama.cpp"}
)
"""Dialects of servers whose Messages endpoint has no signatures of its own to check."""


def abilities(model: str, dialect: str) -> Abilities:
    """What to expect of a model at an upstream of this dialect.

    A Claude whose version cannot be read from its name is taken for a new one, save that it gets
    no system message between the turns: what it gets instead is understood by all.
    """
    if dialect != "anthropic":
        return Abilities(
            system=SystemPlace.USER_TEXT,
            prefill=True,
            sampling=True,
            thinking="budget",
            output_config=False,
            unsigned_thinking=dialect in UNSIGNED,
            anthropic=False,
        )
    found = _VERSION.search(model)
    version = (int(found[1]), int(found[2] or 0)) if found else _NEWEST
    return Abilities(
        system=SystemPlace.IN_PLACE
        if found is not None and version >= (4, 8)
        else SystemPlace.USER_TEXT,
        prefill=version < (4, 6),
        sampling=version < (4, 7),
        thinking="adaptive" if version >= (4, 6) else "budget" if version >= (3, 7) else "none",
        output_config=version >= (4, 5),
        unsigned_thinking=False,
        anthropic=True,
    )
