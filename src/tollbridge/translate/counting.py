"""Token counts: between the two vocabularies' records, and our own count of an answer's text."""

from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.responses import ChatUsage, CompletionDetails, PromptDetails
from tollbridge.wire.messages.responses import OutputDetails, Usage

NO_USAGE = TokenUsage()


def _first(*counts: int | None) -> int:
    """The largest of the counts that are there: servers mirror one count under several names."""
    return max((count for count in counts if count is not None), default=0)


def usage_from_chat(usage: ChatUsage) -> TokenUsage:
    """A Chat upstream's usage, in every spelling of cached tokens (protocol notes B.7, C.6).

    `prompt_tokens` includes what was read from and written to the cache. A server whose cached
    tokens exceed the prompt copied Messages' convention, in which they are disjoint, so that
    nothing is subtracted; the count never falls below zero.
    """
    inner = usage.prompt_tokens_details or PromptDetails()
    read = _first(
        inner.cached_tokens,
        usage.prompt_cache_hit_tokens,
        usage.cached_tokens,
        usage.cache_read_input_tokens,
        0,
    )
    write = _first(inner.cache_write_tokens, usage.cache_creation_input_tokens, 0)
    prompt = max(usage.prompt_tokens or 0, 0)
    cached = read + write
    details = usage.completion_tokens_details
    output = max(usage.completion_tokens or 0, 0)
    return TokenUsage(
        input=prompt - cached if cached <= prompt else prompt,
        cache_read=read,
        cache_write=write,
        output=output,
        reasoning=min(_first(details.reasoning_tokens, 0), output) if details else 0,
    )


def usage_from_messages(usage: Usage, before: TokenUsage | None = None) -> TokenUsage:
    """A Messages upstream's usage; totals in a later event overwrite, absent ones keep."""
    old = before or NO_USAGE
    read, write = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    details = usage.output_tokens_details
    thinking = details.thinking_tokens if details else None
    return TokenUsage(
        input=old.input if usage.input_tokens is None else max(usage.input_tokens, 0),
        cache_read=old.cache_read if read is None else max(read, 0),
        cache_write=old.cache_write if write is None else max(write, 0),
        output=old.output if usage.output_tokens is None else max(usage.output_tokens, 0),
        reasoning=old.reasoning if thinking is None else max(thinking, 0),
    )


def chat_usage(usage: TokenUsage) -> ChatUsage:
    """The usage in Chat's words: the prompt includes the cached tokens."""
    return ChatUsage(
        prompt_tokens=usage.prompt,
        completion_tokens=usage.output,
        total_tokens=usage.prompt + usage.output,
        prompt_tokens_details=PromptDetails(
            cached_tokens=usage.cache_read, cache_write_tokens=usage.cache_write
        ),
        completion_tokens_details=CompletionDetails(reasoning_tokens=usage.reasoning),
    )


def messages_usage(usage: TokenUsage) -> Usage:
    """The usage in Messages' words: the three input counts are disjoint."""
    return Usage(
        input_tokens=usage.input,
        cache_creation_input_tokens=usage.cache_write,
        cache_read_input_tokens=usage.cache_read,
        output_tokens=usage.output,
        output_tokens_details=OutputDetails(thinking_tokens=usage.reasoning)
        if usage.reasoning
        else None,
    )


def count_text(chars: int, utf8_bytes: int) -> int:
    """Expected tokens of a text of so many characters and UTF-8 bytes.

    Four ASCII characters make a token, a CJK character makes three quarters of one. The bytes
    beyond one per character tell the two apart: a CJK character has two of them, a Cyrillic one
    (which lies between the two in tokens) has one.
    """
    wide = max(utf8_bytes - chars, 0) // 2
    return (max(chars - wide, 0) + 3 * wide + 3) // 4
