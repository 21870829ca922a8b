"""A model's own tokenizer, from its `tokenizer.json`; an extra, for few deployments need it."""

import importlib.util
from pathlib import Path

from tollbridge.app.ports import CountText

PACKAGE = "tokenizers"


def tokenizer_problem(path: Path) -> str:
    """Why this file cannot be used, as far as can be told without reading it; empty: it can."""
    if not path.is_file():
        return f"there is no file {str(path)!r}"
    if importlib.util.find_spec(PACKAGE) is None:
        return f"needs the package {PACKAGE}: install tollbridge[{PACKAGE}]"
    return ""


def read_tokenizer(path: Path) -> CountText:
    """Count with this file's vocabulary; a text's special words count as the text they are.

    Raises:
        ValueError: the file is no tokenizer.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415  # an extra

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing more specific
        raise ValueError(f"{path.name} is no tokenizer: {error}") from error

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count
