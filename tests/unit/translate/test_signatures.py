import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate import signatures
from tollbridge.translate.signatures import (
    client_tool_id,
    hidden_thinking,
    is_own_signature,
    sign_thinking,
    upstream_tool_id,
)

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)


@given(texts, st.binary(max_size=32))
def test_hidden_thinking_comes_back(text: str, key: bytes):
    signature = sign_thinking(key, text)
    assert is_own_signature(signature)
    assert hidden_thinking(key, signature) == text


@pytest.mark.parametrize("signature", ["", "EqQBCgIYAg", "tb1.", "tb1.!!", "tb1.AAAA", "tb1.ä"])
def test_other_signatures_carry_nothing(signature: str):
    assert hidden_thinking(b"k", signature) == ""


def test_a_changed_or_foreign_signature_carries_nothing():
    signature = sign_thinking(b"k", "plan")
    assert hidden_thinking(b"other", signature) == ""
    assert hidden_thinking(b"k", signature[:-4] + "AAAA") == ""


def test_what_unpacks_to_too_much_is_cut(monkeypatch: pytest.MonkeyPatch):
    signature = sign_thinking(b"k", "x" * 10_000)
    monkeypatch.setattr(signatures, "HIDDEN_THINKING_BYTES_MAX", 100)
    assert hidden_thinking(b"k", signature) == "x" * 100


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_ids_are_legal_for_messages_and_come_back(upstream_id: str):
    wrapped = client_tool_id(upstream_id)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", wrapped)
    assert upstream_tool_id(wrapped) == upstream_id


def test_legal_ids_and_ids_of_others_stay_as_they_are():
    for legal in ("call_abc-1", "toolu_01", "x"):
        assert client_tool_id(legal) == upstream_tool_id(legal) == legal
    for odd in ("tb1_%%", "tb1_", "tb1_" + base64.urlsafe_b64encode(b"legal").decode()):
        assert upstream_tool_id(odd) == odd
