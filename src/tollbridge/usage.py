"""Token counts of one exchange, and where they come from."""

import enum

import msgspec


class Provenance(enum.StrEnum):
    """Why a charge is what it is; one word of the tariff, printed on every receipt."""

    REPORTED = "reported"
    COUNTED = "counted"
    VOID = "void"
    RECOVERED = "recovered"
    OWN = "own"


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens by class. The four classes that are priced are disjoint.

    `input` excludes what was read from and written to a prompt cache (the Messages convention;
    Chat's `prompt_tokens` is the sum of the three). `reasoning` is a part of `output`, told only
    for information.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input + self.cache_read + self.cache_write
