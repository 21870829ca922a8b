"""What the servers that speak Chat can take, and how each spells it: one row per dialect.

Read from the servers' documentation and sources (protocol notes B.7, C.1, C.9). A row says what a
server of that kind takes whatever model it runs; where models differ, the row is the careful one.
"""

import enum
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from tollbridge.dialect_config import DialectOverrides
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.tables import EFFORT_TO_BUDGET
from tollbridge.wire.chat.requests import ChatRequest
from tollbridge.wire.codec import encode


class SystemPlace(enum.Enum):
    """Where a system message may stand that is not the first (protocol notes C.9.1).

    The values are the words of the configuration.
    """

    IN_PLACE = "keep"
    LEADING = "merge"
    """Merged into the first one: changes the start of the prompt, and so misses its cache."""
    USER_TEXT = "user"
    """As marked text at the end of the user turn before it: chat templates that raise on it."""


class Prefill(enum.Enum):
    """How a trailing assistant turn is continued instead of answered (protocol notes C.9.11)."""

    NONE = enum.auto()
    BARE = enum.auto()
    CONTINUE_FINAL = enum.auto()
    PARTIAL = enum.auto()


class SchemaLevel(enum.Enum):
    """What a tool's schema may hold (protocol notes C.9.13)."""

    PLAIN = enum.auto()
    """Everything but `$schema`."""
    GRAMMAR = enum.auto()
    """Compiled to a grammar: no `pattern` with Unicode classes, no unknown `format`."""
    BARE = enum.auto()
    """What every grammar compiler takes: no `pattern` and no `format` at all."""


SetThinking = Callable[[ChatRequest, str, int | None], None]
"""Writes a Chat effort (`none`: thinking is off) into a request, or a budget of so many tokens."""


def _by_effort(*words: str) -> SetThinking:
    """`reasoning_effort`, for servers that take these words, from weakest to strongest."""
    order = tuple(EFFORT_TO_BUDGET)
    ranks = [order.index(word) for word in words]

    def write(request: ChatRequest, effort: str, _budget: int | None) -> None:
        wanted = order.index(effort)
        # The nearest weaker word; thinking that was asked for is never turned off by rounding.
        allowed = [rank for rank in ranks if rank <= wanted and (rank > 0 or wanted == 0)]
        stronger = [rank for rank in ranks if rank > 0]
        request.reasoning_effort = order[allowed[-1] if allowed else stronger[0]]

    return write


def _by_thinking_type(request: ChatRequest, effort: str, _budget: int | None) -> None:
    word = "disabled" if effort == "none" else "enabled"
    request.thinking = Raw(b'{"type":"%s"}' % word.encode())


def _by_enable_thinking(request: ChatRequest, effort: str, budget: int | None) -> None:
    request.enable_thinking = effort != "none"
    if effort != "none":
        request.thinking_budget = budget or EFFORT_TO_BUDGET[effort]


def _by_template(request: ChatRequest, effort: str, _budget: int | None) -> None:
    # Templates read one of the two names and ignore the other; those that have levels read
    # `reasoning_effort`.
    on = effort != "none"
    members: dict[str, object] = {"enable_thinking": on, "thinking": on}
    if on:
        members["reasoning_effort"] = {"xhigh": "high", "max": "high"}.get(effort, effort)
    request.chat_template_kwargs = Raw(encode(members))


def _by_reasoning(request: ChatRequest, effort: str, budget: int | None) -> None:
    members: dict[str, object] = {"max_tokens": budget} if budget else {"effort": effort}
    request.reasoning = Raw(encode({"enabled": False} if effort == "none" else members))


class Dialect(NamedTuple):
    """How one kind of server wants to be spoken to. The defaults are OpenAI's own vocabulary."""

    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    set_thinking: SetThinking | None = None
    """None: thinking cannot be steered."""
    reasoning_field: Literal["reasoning_content", "reasoning", "reasoning_details"] | None = None
    """Where reasoning of earlier turns is sent back. All spellings are read, whoever answers."""
    reasoning_turns: Literal["always", "tool turns", "never"] = "never"
    """Which assistant turns get it back; `always`: an empty string where there was none."""
    system: SystemPlace = SystemPlace.USER_TEXT
    prefill: Prefill = Prefill.NONE
    says_stop: bool = False
    """Whether the answer names the stop sequence that ended it. Where it does not, the gateway
    matches them itself (protocol notes C.9.14)."""
    echoes_prefill: bool = False
    """Whether a one-shot answer repeats the text that it continues; a stream never does."""
    tool_name_max: int = 64
    schema: SchemaLevel = SchemaLevel.PLAIN
    stream_options: bool = True
    cancels_answers: bool = True
    """Whether the server stops generating a one-shot answer when nobody waits for it any more, as
    all do with a stream. From one that does not a stream is asked for, and gathered here (protocol
    notes C.9.16)."""
    continuous_usage: bool = False
    """Usage in every chunk, so that `message_start` is exact (protocol notes C.9.5)."""
    parallel_tool_calls: bool = True
    named_tool_choice: bool = True
    """False: `tool_choice` takes words only, so that one tool is forced by offering no other."""
    top_k: bool = False
    json_schema: bool = True
    safety_identifier: bool = False
    prompt_cache_key: bool = False
    think_tags: bool = False
    """Whether a chat template may leak its `<think>` tags into the text."""
    count_path: str = ""
    """Where the server counts the tokens of a Chat request, below its base URL; empty: nowhere."""
    files: bool = False
    """Whether a PDF may be sent as a `file` part."""


_LOCAL = Dialect(
    set_thinking=_by_template,
    reasoning_turns="tool turns",
    prefill=Prefill.CONTINUE_FINAL,
    continuous_usage=True,
    top_k=True,
    think_tags=True,
    schema=SchemaLevel.GRAMMAR,
)

DIALECT_ROWS: dict[str, Dialect] = {
    "anthropic": Dialect(  # Anthropic's own Chat endpoint, meant for tests: it hoists system text
        system=SystemPlace.IN_PLACE, prefill=Prefill.BARE, json_schema=False
    ),
    "openai": Dialect(
        limit_field="max_completion_tokens",
        set_thinking=_by_effort("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        system=SystemPlace.IN_PLACE,
        safety_identifier=True,
        prompt_cache_key=True,
        files=True,
    ),
    "deepseek": Dialect(
        set_thinking=_by_thinking_type,
        reasoning_field="reasoning_content",
        reasoning_turns="always",
        system=SystemPlace.IN_PLACE,
        parallel_tool_calls=False,
        json_schema=False,
    ),
    "hunyuan": Dialect(
        set_thinking=_by_effort("none", "low", "medium", "high"),
        reasoning_field="reasoning_content",
        reasoning_turns="tool turns",
        parallel_tool_calls=False,
        top_k=True,
        json_schema=False,
    ),
    "qwen": Dialect(
        set_thinking=_by_enable_thinking,
        reasoning_field="reasoning_content",
        reasoning_turns="tool turns",
        prefill=Prefill.PARTIAL,
        top_k=True,
    ),
    "kimi": Dialect(
        set_thinking=_by_thinking_type,
        reasoning_field="reasoning_content",
        reasoning_turns="always",
        system=SystemPlace.IN_PLACE,
        prefill=Prefill.PARTIAL,
        parallel_tool_calls=False,
        safety_identifier=True,
        prompt_cache_key=True,
    ),
    "glm": Dialect(
        set_thinking=_by_thinking_type,
        reasoning_field="reasoning_content",
        reasoning_turns="tool turns",
        parallel_tool_calls=False,
        json_schema=False,
    ),
    "vllm": _LOCAL._replace(reasoning_field="reasoning", says_stop=True, count_path="/../tokenize"),
    "sglang": _LOCAL._replace(reasoning_field="reasoning_content", says_stop=True),
    "ollama": Dialect(
        set_thinking=_by_effort("none", "low", "medium", "high"),
        reasoning_field="reasoning",
        reasoning_turns="tool turns",
        parallel_tool_calls=False,
        think_tags=True,
        schema=SchemaLevel.GRAMMAR,
    ),
    "llama.cpp": _LOCAL._replace(  # checked against the engine itself in tests/engine
        reasoning_field="reasoning_content",
        prefill=Prefill.BARE,
        echoes_prefill=True,
        continuous_usage=False,
        cancels_answers=False,
        named_tool_choice=False,
        count_path="/chat/completions/input_tokens",
    ),
    "openrouter": Dialect(
        set_thinking=_by_reasoning,
        reasoning_field="reasoning_details",
        reasoning_turns="tool turns",
        prefill=Prefill.BARE,
        top_k=True,
        files=True,
    ),
    "generic": Dialect(
        reasoning_field="reasoning_content", reasoning_turns="tool turns", think_tags=True
    ),
}


def dialect_for(terms: UpstreamTerms) -> Dialect:
    """The row of a target's dialect with what the target has of its own.

    Raises:
        GatewayError: INTERNAL for an unknown dialect.
    """
    dialect = dialect_of(terms.dialect, terms.overrides)
    if terms.system_messages is not None:
        dialect = dialect._replace(system=SystemPlace(terms.system_messages))
    if terms.avoid is ErrorCode.SCHEMA_REFUSED:
        dialect = dialect._replace(schema=SchemaLevel.BARE)
    return dialect


@functools.cache
def dialect_of(name: str, overrides: DialectOverrides | None = None) -> Dialect:
    """The row of a dialect's name, with what one server does otherwise.

    Raises:
        GatewayError: INTERNAL for a name that the configuration should not have let pass.
    """
    row = DIALECT_ROWS.get(name)
    if row is None:
        raise GatewayError(ErrorCode.INTERNAL, "This model's dialect is not known.")
    said = {} if overrides is None else msgspec.structs.asdict(overrides)
    changes: dict[str, Any] = {  # each member has a type of its own, checked when it was read
        _MEMBERS.get(word, word): _MEANINGS.get(word, {}).get(value, value)
        for word, value in said.items()
        if value is not UNSET
    }
    return row._replace(**changes)


_MEMBERS = {"thinking": "set_thinking", "system_messages": "system"}
"""The members of a row that the configuration calls otherwise."""

_MEANINGS: dict[str, dict[object, object]] = {
    "thinking": {
        "effort": _by_effort("none", "low", "medium", "high"),
        "thinking": _by_thinking_type,
        "enable_thinking": _by_enable_thinking,
        "chat_template_kwargs": _by_template,
        "reasoning": _by_reasoning,
        "none": None,
    },
    "reasoning_field": {"none": None},
    "system_messages": {place.value: place for place in SystemPlace},
    "prefill": {prefill.name.lower(): prefill for prefill in Prefill},
    "schema": {level.name.lower(): level for level in SchemaLevel},
}
"""The configuration's words that stand for something else than themselves."""
