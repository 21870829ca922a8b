import hashlib
import re

import pytest

from tollbridge.access.keys import (
    EnvIdError,
    hash_key,
    key_hint,
    mint_env_id,
    mint_key,
    mint_key_id,
    mint_request_id,
    parse_env_id,
)
from tollbridge.units import Millis


def test_a_key_carries_all_its_entropy() -> None:
    key = mint_key(bytes(range(32)))
    assert re.fullmatch(r"tb_[A-Za-z0-9_-]{43}", key)
    assert mint_key(b"\xff" * 32) == "tb_" + "_" * 42 + "8"
    assert key != mint_key(bytes(range(1, 33)))
    with pytest.raises(AssertionError):
        mint_key(b"too short")


def test_a_key_is_stored_as_its_hash() -> None:
    assert hash_key("tb_x") == hashlib.sha256(b"tb_x").digest()
    assert len(hash_key("\udcff\u00e9")) == 32
    assert key_hint("tb_abcdef") == "cdef"


def test_ids_have_their_form() -> None:
    assert mint_key_id(b"\x01" * 12) == "key_" + "01" * 12
    assert mint_env_id(b"\xff" * 5) == "env-77777777"
    assert parse_env_id(mint_env_id(b"\x00" * 5)) == "env-aaaaaaaa"


def test_request_ids_are_in_the_order_of_time() -> None:
    first = mint_request_id(Millis(1_700_000_000_000), b"\xff" * 6)
    later = mint_request_id(Millis(1_700_000_000_001), b"\x00" * 6)
    assert re.fullmatch(r"req_[0-9a-f]{24}", first)
    assert first < later


@pytest.mark.parametrize("text", ["a", "7", "my-app-1", "a" * 63, "xn--bcher-kva"])
def test_a_dns_label_names_an_environment(text: str) -> None:
    assert parse_env_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "a\n", "\u00e9", "\u0661"]
)
def test_anything_else_does_not(text: str) -> None:
    with pytest.raises(EnvIdError, match="cannot name an environment"):
        parse_env_id(text)


@pytest.mark.parametrize("text", ["api", "www", "cloudbase"])
def test_reserved_labels_are_refused(text: str) -> None:
    with pytest.raises(EnvIdError, match="reserved"):
        parse_env_id(text)
