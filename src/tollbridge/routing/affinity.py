"""What names the conversation that a request belongs to, so that all of it meets one prompt cache.

A session that the client names is best. Else the prompt's beginning is taken, which later turns
repeat: tools, system prompt, and the messages up to the first of the user. What names a person or
an application (`user`, `metadata.user_id`) is not looked at: it would send all traffic of an
application that says one name to one target, and the prompt's beginning does as well.
"""

import hashlib
import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

SESSION_HEADERS = ("x-tollbridge-session", "x-claude-code-session-id", "session-id")
"""Our own, Claude Code's and Codex's; the first that is sent counts."""
SAMPLE_BYTES = 2_048
"""What is looked at of each part of the prompt."""
LEADING_MESSAGES_MAX = 8
"""Before the first of the user; more would be a strange conversation."""

_MARK = re.compile(rb',\s*"cache_control"\s*:\s*(?:null|\{[^{}]*\})')
"""Clients move it from turn to turn; it says nothing about the prompt."""


class _Prompt(Struct):
    messages: list[Raw]
    system: Raw = Raw(b"")
    tools: Raw = Raw(b"")
    prompt_cache_key: Raw = Raw(b"")


class _Message(Struct):
    role: object = None


_prompt_decoder = msgspec.json.Decoder(_Prompt)
_message_decoder = msgspec.json.Decoder(_Message)


def affinity_key(headers: Mapping[str, str], body: bytes) -> bytes:
    """The key of the conversation; `body` is a request of either protocol that has been read."""
    for name in SESSION_HEADERS:
        if session := headers.get(name):
            return session.encode()
    prompt = _prompt_decoder.decode(body)
    named = bytes(prompt.prompt_cache_key)
    if named.startswith(b'"') and (name := msgspec.json.decode(named, type=str)):
        return name.encode()
    digest = hashlib.blake2b(digest_size=16)
    for part in (prompt.tools, prompt.system, *_leading(prompt.messages)):
        digest.update(_MARK.sub(b"", bytes(memoryview(part)[: 2 * SAMPLE_BYTES]))[:SAMPLE_BYTES])
        digest.update(b"\0")
    return digest.digest()


def _leading(messages: list[Raw]) -> list[Raw]:
    """The messages up to the first of the user."""
    for index, message in enumerate(messages[:LEADING_MESSAGES_MAX]):
        try:
            role = _message_decoder.decode(message).role
        except msgspec.ValidationError:
            break  # no message at all: the translation has the words for it
        if role == "user":
            return messages[: index + 1]
    return messages[:1]
