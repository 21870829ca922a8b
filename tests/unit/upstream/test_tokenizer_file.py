import importlib.util
import json
from pathlib import Path

import pytest

from tollbridge.upstream.tokenizer_file import PACKAGE, read_tokenizer, tokenizer_problem

WORDS = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"toll": 0, "bridge": 1, "?": 2}, "unk_token": "?"},
}  # fmt: skip

needs_package = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None, reason="there is no wheel for this machine"
)


@needs_package
def test_a_file_counts(tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(WORDS))
    assert tokenizer_problem(path) == ""
    count = read_tokenizer(path)
    assert count("toll bridge over water") == 4
    assert count("") == 0


@needs_package
def test_what_is_no_tokenizer_is_named(tmp_path: Path):
    path = tmp_path / "words.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"words\.json is no tokenizer"):
        read_tokenizer(path)


def test_problems_are_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert "there is no file" in tokenizer_problem(tmp_path / "missing.json")
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "install tollbridge[tokenizers]" in tokenizer_problem(path)
