"""A Messages request as a Chat request (protocol notes C.1).

`dispositions.MESSAGES` says of every field what becomes of it; the code below does it.
"""

import re
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.content_to_chat import Conversation
from tollbridge.translate.dialects import Dialect, dialect_for
from tollbridge.translate.dispositions import MESSAGES
from tollbridge.translate.messages_views import ThreadKind
from tollbridge.translate.schemas import clean_schema, is_strict_schema
from tollbridge.translate.tables import EFFORT_TO_CHAT, effort_of_budget
from tollbridge.translate.tool_names import ToolNames
from tollbridge.translate.tools_to_chat import write_tools
from tollbridge.wire.chat.requests import ChatRequest, JsonSchema, ResponseFormat, StreamOptions
from tollbridge.wire.messages.requests import Block, MessagesRequest

_REPORTED = tuple(
    name
    for name, row in MESSAGES["request field"].items()
    if row.disposition == "reported" and name in MessagesRequest.__struct_fields__
)
_ATTRIBUTION = "x-anthropic-billing-header:"
"""The first system block of Claude Code; it differs between requests and says nothing to a model
(protocol notes C.9.2)."""
_SCHEMA_NAME = "answer"
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.\[\]-]")
_NAME_CHARS_MAX = 80
_NAMES_MAX = 32


class Translated(NamedTuple):
    """The request for the upstream, what it leaves out, the names to restore."""

    request: ChatRequest
    dropped: tuple[str, ...]
    names: ToolNames
    prefill: str
    """The text that the answer continues; empty: it is an answer of its own."""
    match_stops: bool
    """The upstream is not told the stop sequences, because it would not say which one it met: the
    answer is read as a stream and ended here (protocol notes C.9.14)."""


def stop_sequences(asked: MessagesRequest) -> list[str]:
    """The sequences that can end the answer."""
    return [stop for stop in asked.stop_sequences or () if stop]


def request_to_chat(asked: MessagesRequest, terms: UpstreamTerms, seal_key: bytes) -> Translated:
    """Translate for one target. `seal_key` opens the signatures of our own.

    Raises:
        GatewayError: the request cannot be said to this upstream; the field is named.
    """
    _refuse(asked)
    dialect = dialect_for(terms)
    names = ToolNames(dialect.tool_name_max)
    conversation = Conversation(dialect, names, seal_key)
    conversation.leading += _leading_system(asked.system)
    for index, turn in enumerate(asked.messages):
        conversation.add(index, turn)
    request = ChatRequest(model=terms.model, messages=[])
    dropped = _write_format(request, asked, dialect, conversation)
    dropped += _write_sampling(request, asked, dialect)
    request.messages = conversation.finish()
    if conversation.continues:
        request.continue_final_message = True
        request.add_generation_prompt = False
    dropped += write_tools(
        request, asked, dialect, names, has_tool_messages=conversation.has_tool_messages
    )
    setattr(request, dialect.limit_field, terms.max_tokens)
    if terms.avoid is not ErrorCode.THINKING_LOST:
        _write_thinking(request, asked, dialect)
    match_stops = bool(stop_sequences(asked)) and not dialect.says_stop
    stream = bool(asked.stream) or match_stops or not dialect.cancels_answers
    _write_stream(request, dialect, stream=stream)
    reported = [name for name in _REPORTED if getattr(asked, name) is not UNSET]
    dropped += [name for name in reported if _present(getattr(asked, name)) is not None]
    lost = _named([*dropped, *conversation.dropped])
    return Translated(request, lost, names, conversation.prefill, match_stops)


def _named(dropped: list[str]) -> tuple[str, ...]:
    """Each name once, fit for a header: some hold a word of the client's."""
    names = dict.fromkeys(_NOT_A_NAME.sub("_", name[:_NAME_CHARS_MAX]) for name in dropped)
    return tuple(names)[:_NAMES_MAX]


def _refuse(asked: MessagesRequest) -> None:
    """Refuse what cannot be left out without answering another question."""
    if _present(asked.compaction) is not None:
        raise GatewayError(
            ErrorCode.FIELD_UNSUPPORTED,
            "compaction: this model's server cannot make a compaction block.",
            field="compaction",
        )
    written = _present(asked.thread)
    if written is not None:
        try:
            thread = msgspec.json.decode(written, type=ThreadKind)
        except msgspec.DecodeError:
            thread = ThreadKind()
        if thread.type == "continue":
            raise GatewayError(
                ErrorCode.FIELD_UNSUPPORTED,
                "thread: thread_not_found: this model's server keeps no threads; send the whole"
                " conversation.",
                field="thread",
            )


def _present(member: Raw | UnsetType) -> Raw | None:
    return member if isinstance(member, Raw) and bytes(member) != b"null" else None


def _leading_system(system: str | list[Block] | None) -> list[str]:
    """The system texts, without the attribution of the client program."""
    if not system:
        return []
    if isinstance(system, str):
        if system.startswith(_ATTRIBUTION):
            system = system.partition("\n")[2].lstrip("\n")
        return [system] if system else []
    texts = [block.text for block in system if block.text]
    if texts and texts[0].startswith(_ATTRIBUTION):
        texts = [*_leading_system(texts[0]), *texts[1:]]
    return texts


def _write_sampling(request: ChatRequest, asked: MessagesRequest, dialect: Dialect) -> list[str]:
    request.temperature = asked.temperature
    request.top_p = asked.top_p
    dropped = []
    if asked.top_k is not None:
        if dialect.top_k:
            request.top_k = asked.top_k
        else:
            dropped.append("top_k")
    if dialect.says_stop:
        request.stop = stop_sequences(asked) or None
    user = asked.metadata.user_id if asked.metadata else None
    if user and (dialect.safety_identifier or dialect.prompt_cache_key):
        # Claude Code puts a whole JSON document there; its hash is short and tells nobody anything.
        digest = sha256(user.encode()).hexdigest()
        request.safety_identifier = digest if dialect.safety_identifier else None
        request.prompt_cache_key = digest if dialect.prompt_cache_key else None
    return dropped


def _write_format(
    request: ChatRequest, asked: MessagesRequest, dialect: Dialect, conversation: Conversation
) -> list[str]:
    output_format = (asked.output_config and asked.output_config.format) or asked.output_format
    if output_format is None or not isinstance(output_format.schema, Raw):
        return []
    schema = clean_schema(output_format.schema, dialect.schema)
    if dialect.json_schema:
        # `strict` demands that every key is required; said of other schemas it changes them.
        strict = is_strict_schema(msgspec.json.decode(schema))
        request.response_format = ResponseFormat(
            type="json_schema",
            json_schema=JsonSchema(name=_SCHEMA_NAME, schema=schema, strict=strict),
        )
        return []
    request.response_format = ResponseFormat(type="json_object")
    conversation.leading.append(
        f"Answer with one JSON object that satisfies this JSON schema:\n{bytes(schema).decode()}"
    )
    return ["output_config.format"]


def _write_thinking(request: ChatRequest, asked: MessagesRequest, dialect: Dialect) -> None:
    """Effort wins over a budget; without a word the upstream's own default stays."""
    if dialect.set_thinking is None:
        return
    thinking = asked.thinking
    effort = asked.output_config.effort if asked.output_config else None
    budget = None
    if thinking is not None and thinking.type in ("disabled", "between_tools"):
        word = "none"
    elif effort in EFFORT_TO_CHAT:
        word = EFFORT_TO_CHAT[effort]
    elif thinking is not None and thinking.type == "enabled" and thinking.budget_tokens:
        budget = thinking.budget_tokens
        word = effort_of_budget(budget)
    else:
        return
    dialect.set_thinking(request, word, budget)


def _write_stream(request: ChatRequest, dialect: Dialect, *, stream: bool) -> None:
    request.stream = stream
    if stream and dialect.stream_options:
        options = StreamOptions(include_usage=True)
        if dialect.continuous_usage:
            options.continuous_usage_stats = True
        request.stream_options = options
