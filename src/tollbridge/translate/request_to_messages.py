"""A Chat request as a Messages request (protocol notes C.2).

`dispositions.CHAT` says of every field what becomes of it; the code below does it.
"""

from typing import NamedTuple

import msgspec
from msgspec import Raw

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, UpstreamTerms
from tollbridge.translate.claude import Abilities, abilities
from tollbridge.translate.content_to_messages import Conversation
from tollbridge.translate.dialects import SchemaLevel, SystemPlace
from tollbridge.translate.dispositions import CHAT
from tollbridge.translate.members import read_members
from tollbridge.translate.schemas import clean_schema
from tollbridge.translate.schemas_to_messages import answer_schema
from tollbridge.translate.tables import (
    EFFORT_TO_BUDGET,
    EFFORT_TO_MESSAGES,
    effort_of_budget,
)
from tollbridge.translate.tools_to_messages import ToolPlan, plan_tools
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.chat.requests import ChatRequest
from tollbridge.wire.codec import decode, encode
from tollbridge.wire.messages.requests import (
    Block,
    MessagesRequest,
    Metadata,
    OutputConfig,
    OutputFormat,
    Thinking,
    Tool,
)

FIELDS = CHAT["request field"]

NOT_ASKED = frozenset({b"null", b"false", b"{}", b"[]", b'"medium"', b'["text"]'})
"""Values with which a field says what would hold without it."""

_NOTHING = {
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,
    "min_p": 0.0,
    "top_logprobs": 0.0,
    "n": 1.0,
}
"""The number with which a field asks for nothing."""

SERVICE_TIERS = {
    "auto": "auto",
    "default": "standard_only",
    "priority": "auto",
    "flex": "standard_only",
    "scale": "auto",
    "fast": "auto",
}
CACHE_POINTS_MAX = 4
"""Messages refuses more (protocol notes A.3)."""
_CACHED = Raw(b'{"type":"ephemeral"}')

WEB_SEARCH = Tool(type="web_search_20250305", name="web_search")
JSON_ONLY = "Answer with one valid JSON object and nothing else."

_decoder = msgspec.json.Decoder(ChatRequest)


class Translated(NamedTuple):
    """A request in the upstream's words, and what is needed to read the answer."""

    body: bytes
    plan: ToolPlan
    dropped: tuple[str, ...]
    may_pause: bool
    """A tool is offered that the upstream runs itself."""


def request_to_messages(
    body: bytes, ask: Ask, terms: UpstreamTerms, unknown: UnknownNames
) -> Translated:
    """Translate the whole request.

    Raises:
        GatewayError: a field that is malformed, or whose being ignored would be a lie.
    """
    request = decode(body, _decoder)
    asked = _asked_fields(body, unknown)
    able = abilities(terms.model, terms.dialect)
    if terms.system_messages is not None:
        able = able._replace(system=SystemPlace(terms.system_messages))
    bare = terms.avoid is ErrorCode.SCHEMA_REFUSED
    plan = plan_tools(request, bare=bare)
    conversation = Conversation(able, plan, unknown)
    conversation.add_all(request.messages)
    limit = min(ask.max_tokens or terms.max_tokens, terms.max_tokens)
    translated = MessagesRequest(
        model=terms.model,
        max_tokens=limit,
        messages=[],
        stream=ask.stream or None,
        tools=plan.tools or None,
        tool_choice=plan.choice,
        stop_sequences=_stops(request.stop),
    )
    dropped = [name for name in asked if FIELDS[name].disposition == "reported"]
    dropped += plan.dropped
    effort = "none" if terms.avoid is ErrorCode.THINKING_LOST else _effort(request)
    dropped += _set_thinking(translated, effort, able, conversation)
    dropped += _set_sampling(translated, request, able)
    dropped += _set_format(translated, request, able, conversation, bare=bare)
    may_pause = False
    if "web_search_options" in asked:
        if able.anthropic:
            translated.tools = [*(translated.tools or ()), WEB_SEARCH]
            may_pause = True
        else:
            dropped.append("web_search_options")
    user = request.safety_identifier or request.user
    if user:
        translated.metadata = Metadata(user_id=user)
    if able.anthropic and request.service_tier:
        translated.service_tier = SERVICE_TIERS.get(request.service_tier)
    translated.system = conversation.system or None
    translated.messages = conversation.turns
    if able.anthropic:
        _place_cache_points(translated)
    return Translated(encode(translated), plan, (*dropped, *conversation.dropped), may_pause)


def _asked_fields(body: bytes, unknown: UnknownNames) -> list[str]:
    """The known fields that ask for something; 400 for those that cannot be ignored."""
    asked = []
    for name, raw in read_members(body).items():
        if name not in FIELDS:
            unknown.note("chat request field", name)
            continue
        if bytes(raw) in NOT_ASKED or _is_nothing(name, raw):
            continue
        if FIELDS[name].disposition == "refused" and (
            name != "modalities" or b'"audio"' in bytes(raw)
        ):
            raise GatewayError(
                ErrorCode.FIELD_UNSUPPORTED,
                f"{name}: this model's upstream cannot do this.",
                field=name,
            )
        asked.append(name)
    return asked


def _is_nothing(name: str, raw: Raw) -> bool:
    if name not in _NOTHING:
        return False
    try:
        return float(bytes(raw)) == _NOTHING[name]
    except ValueError:
        return False


def _stops(stop: str | list[str] | None) -> list[str] | None:
    """Messages refuses sequences of nothing but white space."""
    stops = [stop] if isinstance(stop, str) else stop or []
    return [text for text in stops if text.strip()] or None


def _set_thinking(
    translated: MessagesRequest, effort: str | None, able: Abilities, conversation: Conversation
) -> list[str]:
    if effort is None:
        return []
    if effort not in EFFORT_TO_MESSAGES:
        raise GatewayError(
            ErrorCode.FIELD_INVALID,
            f"reasoning_effort: unknown effort {effort!r};"
            f" known are {', '.join(EFFORT_TO_MESSAGES)}.",
            field="reasoning_effort",
        )
    word = EFFORT_TO_MESSAGES[effort]
    if word is not None and able.output_config:
        translated.output_config = OutputConfig(effort=word)
    forced = translated.tool_choice is not None and translated.tool_choice.type in ("any", "tool")
    prefill = conversation.turns[-1].role == "assistant"
    off = word is None or forced or prefill or conversation.tool_loop_lacks_thinking()
    budget = min(EFFORT_TO_BUDGET[effort], translated.max_tokens - 1)
    if able.thinking == "none" or (able.thinking == "budget" and budget < 1024 and not off):
        return [] if word is None else ["reasoning_effort"]
    if off:
        translated.thinking = Thinking(type="disabled")
        conversation.drop_thinking()
        return [] if word is None else ["reasoning_effort"]
    if able.thinking == "adaptive":
        translated.thinking = Thinking(type="adaptive", display="summarized")
    else:
        translated.thinking = Thinking(type="enabled", budget_tokens=budget)
    return []


def _effort(request: ChatRequest) -> str | None:
    """The effort that the client asks for, in OpenAI's word or another server's."""
    if request.reasoning_effort is not None:
        return request.reasoning_effort
    if isinstance(request.thinking, Raw):
        try:
            thinking = msgspec.json.decode(request.thinking, type=Thinking | None)
        except msgspec.ValidationError as error:
            raise GatewayError(
                ErrorCode.FIELD_INVALID, f"thinking: {error}.", field="thinking"
            ) from None
        if thinking is not None:
            off = thinking.type == "disabled"
            return "none" if off else effort_of_budget(thinking.budget_tokens or 4_096)
    if request.enable_thinking is not None:
        return "medium" if request.enable_thinking else "none"
    return None


def _set_sampling(translated: MessagesRequest, request: ChatRequest, able: Abilities) -> list[str]:
    """Messages takes 0..1, not every model takes any, and none beside thinking."""
    there = [
        name for name in ("temperature", "top_p", "top_k") if getattr(request, name) is not None
    ]
    thinking = translated.thinking is not None and translated.thinking.type != "disabled"
    if not able.sampling or (thinking and able.anthropic):
        return there
    dropped = []
    if request.temperature is not None:
        translated.temperature = min(max(request.temperature, 0.0), 1.0)
        if translated.temperature != request.temperature:
            dropped.append("temperature")
    if request.top_p is not None:
        if able.anthropic and request.temperature is not None:
            dropped.append("top_p")  # new models refuse the two together
        else:
            translated.top_p = request.top_p
    translated.top_k = request.top_k
    return dropped


def _set_format(
    translated: MessagesRequest,
    request: ChatRequest,
    able: Abilities,
    conversation: Conversation,
    *,
    bare: bool,
) -> list[str]:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return []
    schema = wanted.json_schema.schema if wanted.json_schema is not None else None
    if wanted.type == "json_schema" and not isinstance(schema, Raw):
        field = "response_format.json_schema.schema"
        raise GatewayError(
            ErrorCode.FIELD_MISSING, f"{field}: this field is required.", field=field
        )
    if wanted.type not in ("json_schema", "json_object"):
        field = "response_format.type"
        raise GatewayError(
            ErrorCode.FIELD_INVALID, f"{field}: unknown format {wanted.type!r}.", field=field
        )
    if isinstance(schema, Raw) and able.output_config:
        config = translated.output_config = translated.output_config or OutputConfig()
        fit = clean_schema(schema, SchemaLevel.BARE) if bare else schema
        config.format = OutputFormat(type="json_schema", schema=answer_schema(fit))
        return []
    text = JSON_ONLY
    if isinstance(schema, Raw):
        text += f" It must satisfy this JSON schema: {bytes(schema).decode()}"
    conversation.system.append(Block(type="text", text=text))
    return ["response_format"]


def _place_cache_points(translated: MessagesRequest) -> None:
    """Mark what the next turn will send again, where the client has marked nothing.

    Writing the cache costs more than reading the prompt, so that a request which looks like the
    only one of its kind (no tools, no answer so far) is left alone.
    """
    turns = [turn for turn in translated.messages if isinstance(turn.content, list)]
    system = translated.system if isinstance(translated.system, list) else []
    marked = [
        block
        for block in [*system, *(block for turn in turns for block in turn.content)]
        if isinstance(block, Block) and isinstance(block.cache_control, Raw)
    ]
    for block in marked[:-CACHE_POINTS_MAX]:
        block.cache_control = msgspec.UNSET
    talk = translated.tools or any(turn.role == "assistant" for turn in turns)
    if marked or not talk:
        return
    if translated.tools:
        last = translated.tools[-1]
        translated.tools[-1] = msgspec.structs.replace(last, cache_control=_CACHED)
    if system:
        system[-1].cache_control = _CACHED
    users = [turn for turn in turns if turn.role == "user"]
    for turn in users[-2:]:
        final = turn.content[-1]
        if isinstance(final, Block):
            final.cache_control = _CACHED
