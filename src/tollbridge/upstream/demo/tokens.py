"""The demo model's own tokenizer: deterministic, and joining the pieces gives the text back."""

import re

ATTACHMENT_TOKENS = 1_500
"""What an image or a binary document costs: its pixels are not looked at."""

_COUNTED_MAX = 65_536
"""Characters that are counted one by one."""

_PIECE = re.compile(
    r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # a character of Japanese, Chinese, Korean
    r"|[0-9A-Za-z_\u00aa-\u1fff]{1,12}"  # a word, or twelve letters of a long one
    r"|\S)"
    r"|\s+"
)


def split(text: str) -> list[str]:
    """The text in pieces of one token each; a word takes the space before it along."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """The number of tokens of a text; of a very long one, as many as its beginning suggests.

    The model runs on the event loop, which nobody's megabytes may hold up.
    """
    if len(text) <= _COUNTED_MAX:
        return len(_PIECE.findall(text))
    return len(_PIECE.findall(text[:_COUNTED_MAX])) * len(text) // _COUNTED_MAX
