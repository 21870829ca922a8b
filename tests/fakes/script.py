"""What a fake upstream does, and the conversation it follows: shared by both protocols.

A `Script` is given by the test, or written into the prompt: `@chunks=100 @pace=0.02 Count for me.`
A word is a token, so that a test can say in advance what an answer costs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

DIRECTIVE = re.compile(r"@(\w+)=(\S+)\s*")


@dataclass(frozen=True)
class Script:
    """How to answer; the zero of every field means the plain thing."""

    text: str = ""
    """The whole answer; empty: an answer that follows the conversation."""
    chunks: int = 0
    """Answer with this many one-word chunks."""
    reasoning: str = ""
    """Think this aloud before the answer."""
    redacted: int = 0
    """Messages: hide the thinking."""
    tools: int = 0
    """Call this many tools of those offered, in parallel."""
    error: int = 0
    """Refuse with this status."""
    retry_after: int = 0
    """Seconds to send with the refusal."""
    error_after: int = 0
    """Break a stream with an error event after this many pieces."""
    cut_after: int = 0
    """Close the connection after this many pieces."""
    pace: float = 0.0
    """Seconds between the pieces of a stream."""
    cached: int = 0
    """Prompt tokens reported as read from a cache."""
    no_usage: int = 0
    """Report no usage at all."""

    def followed_by(self, prompt: str) -> "Script":
        """This script, with what the prompt says taking precedence."""
        types = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        said = {
            name: types[name](value) for name, value in DIRECTIVE.findall(prompt) if name in types
        }
        return replace(self, **said)

    @property
    def breaks_after(self) -> int:
        """The piece after which a stream ends early, or 0."""
        return self.error_after or self.cut_after


@dataclass(frozen=True)
class Conversation:
    """What the client said so far, whatever the protocol."""

    system: str
    user_texts: Sequence[str]
    tool_results: Sequence[str]
    ends_with_tool_result: bool
    images: int = 0

    @property
    def directives(self) -> str:
        """Where the prompt's script is looked for."""
        return self.user_texts[-1] if self.user_texts else ""

    @property
    def input_tokens(self) -> int:
        """Words, whatever they mean; an image costs ten."""
        texts = (self.system, *self.user_texts, *self.tool_results)
        return max(1, sum(len(text.split()) for text in texts) + 10 * self.images)

    def answer(self, script: Script) -> str:
        """A text from which a test can tell that the whole conversation arrived."""
        if script.text:
            return script.text
        if script.chunks:
            return " ".join(f"word{index}" for index in range(script.chunks))
        said = [DIRECTIVE.sub("", text).strip() for text in self.user_texts]
        parts = [f"This is turn {len(said)}."]
        if said:
            parts.append(f"You began with: {said[0]}")
        if len(said) > 1:
            parts.append(f"You now said: {said[-1]}")
        if self.images:
            parts.append(f"You showed {self.images} image(s).")
        if self.ends_with_tool_result:
            parts.append(f"The tool said: {' | '.join(self.tool_results)}")
        if self.system:
            parts.append(f"My instructions: {self.system}")
        return " ".join(parts)


def words(text: str) -> list[str]:
    """The text in pieces of one word with the space before it: joined, they are the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def cap(text: str, limit: int | None) -> tuple[str, bool]:
    """At most `limit` tokens of the text, and whether something was cut off."""
    pieces = words(text)
    if limit is None or len(pieces) <= limit:
        return text, False
    return "".join(pieces[:limit]), True


def sample(schema: object) -> dict[str, object]:
    """Arguments that a JSON schema of an object accepts."""
    if not isinstance(schema, dict):
        return {}
    samples: dict[str, object] = {
        "string": "Paris",
        "integer": 7,
        "number": 2.5,
        "boolean": True,
        "array": [],
        "object": {},
    }
    properties: dict[str, dict[str, object]] = schema.get("properties", {})
    return {
        name: (rule["enum"][0] if isinstance(rule.get("enum"), list) else samples[str(kind)])
        for name, rule in properties.items()
        if (kind := rule.get("type", "string")) in samples
    }
