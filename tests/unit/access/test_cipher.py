import pytest

from tollbridge.access.cipher import NONCE_BYTES, Cipher, UnreadableSecretError

NONCE = bytes(range(NONCE_BYTES))
ABOUT = ("group", "acme", "kimi", "https://a.test")


def test_what_is_encrypted_is_read_again():
    cipher = Cipher([b"first"])
    sealed = cipher.encrypt("sk-secret-工", ABOUT, NONCE)
    assert b"secret" not in sealed
    assert cipher.decrypt(sealed, ABOUT) == "sk-secret-工"
    assert cipher.is_current(sealed)
    assert Cipher([b"first"]).decrypt(sealed, ABOUT) == "sk-secret-工"


def test_two_nonces_give_two_ciphertexts():
    cipher = Cipher([b"first"])
    assert cipher.encrypt("a", ABOUT, NONCE) != cipher.encrypt("a", ABOUT, NONCE[::-1])


def test_an_old_key_still_reads_and_the_new_one_writes():
    old = Cipher([b"old"]).encrypt("a", ABOUT, NONCE)
    cipher = Cipher([b"new", b"older", b"old"])
    assert cipher.decrypt(old, ABOUT) == "a"
    assert not cipher.is_current(old)
    assert cipher.is_current(cipher.encrypt("a", ABOUT, NONCE))


def test_another_key_is_told():
    sealed = Cipher([b"first"]).encrypt("sk-secret", ABOUT, NONCE)
    with pytest.raises(UnreadableSecretError, match="another secrets_key") as raised:
        Cipher([b"second"]).decrypt(sealed, ABOUT)
    assert "sk-secret" not in str(raised.value)


@pytest.mark.parametrize("place", range(4))
def test_a_secret_belongs_to_one_row_and_address(place: int):
    cipher = Cipher([b"first"])
    sealed = cipher.encrypt("sk-secret", ABOUT, NONCE)
    elsewhere = [*ABOUT]
    elsewhere[place] += "x"
    with pytest.raises(UnreadableSecretError, match="another address"):
        cipher.decrypt(sealed, elsewhere)


def test_every_changed_or_missing_byte_is_noticed():
    cipher = Cipher([b"first"])
    sealed = cipher.encrypt("sk", ABOUT, NONCE)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        for broken in (bytes(changed), sealed[:place]):
            with pytest.raises(UnreadableSecretError):
                cipher.decrypt(broken, ABOUT)


def test_the_keys_are_not_in_the_repr():
    assert repr(Cipher([b"first"])) == "Cipher(...)"
