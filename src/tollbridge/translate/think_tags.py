"""`<think>` tags that a chat template leaked into the text (protocol notes B.7)."""

HELD_MAX = 1000
"""So much white space may come before a tag; behind more there is none."""
OPENING = "<think>"
CLOSING = "</think>"


class ThinkTags:
    """Splits a text that may begin with one tagged thought; fed piece by piece.

    Only the very beginning is searched: further on, the word belongs to the answer. A piece that
    might be half a tag is held back.
    """

    __slots__ = ("_held", "_inside", "done")

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self.done = False
        """Nothing is held and nothing more will be split."""

    def feed(self, piece: str) -> tuple[str, str]:
        """The thought and the text that are certain so far."""
        self._held += piece
        if not self._inside:
            head = self._held.lstrip()
            if OPENING.startswith(head) and len(self._held) < HELD_MAX:
                return "", ""
            if not head.startswith(OPENING):
                return "", self._release()
            self._inside = True
            self._held = head.removeprefix(OPENING).lstrip("\n")
        thought, tag, text = self._held.partition(CLOSING)
        if tag:
            self._held = ""
            self.done = True
            return thought, text.lstrip("\n")
        keep = next(n for n in range(len(CLOSING) - 1, -1, -1) if thought.endswith(CLOSING[:n]))
        self._held = thought[len(thought) - keep :]
        return thought[: len(thought) - keep], ""

    def close(self) -> tuple[str, str]:
        """What was held when the answer ended."""
        held = self._release()
        return (held, "") if self._inside else ("", held)

    def _release(self) -> str:
        self.done = True
        held, self._held = self._held, ""
        return held
