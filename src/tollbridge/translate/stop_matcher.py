"""Stop sequences found in the text by the gateway (protocol notes C.9.14).

For upstreams that do not say which sequence ended an answer. Where the text is cut into pieces does
not matter: the sequence that is complete first wins, of two that end together the longer one.
"""

from collections.abc import Sequence


class StopMatcher:
    """Lets text through up to the first stop sequence; fed piece by piece.

    What may be the beginning of a sequence is held back, never more than the longest one.
    """

    __slots__ = ("_held", "_sequences", "matched")

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = tuple(dict.fromkeys(sequences))
        self._held = ""
        self.matched: str | None = None
        """The sequence that ended the text; nothing is let through any more."""

    def feed(self, piece: str) -> str:
        """The text that is certain to stand before any stop sequence."""
        if self.matched is not None:
            return ""
        text = self._held + piece
        ends = [
            (start + len(sequence), start, sequence)
            for sequence in self._sequences
            if (start := text.find(sequence)) >= 0
        ]
        if ends:
            _, start, self.matched = min(ends)
            self._held = ""
            return text[:start]
        keep = max(_begun(text, sequence) for sequence in self._sequences)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def release(self) -> str:
        """What was held back, once it is certain that no more text follows it."""
        held, self._held = self._held, ""
        return held


def _begun(text: str, sequence: str) -> int:
    """How many characters at the end of the text may begin the sequence."""
    longest = min(len(sequence) - 1, len(text))
    return next(
        (size for size in range(longest, 0, -1) if text.endswith(sequence[:size])),
        0,
    )
