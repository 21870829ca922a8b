"""Secrets at rest: AES-256-GCM under named keys, of which the first writes and all read.

A ciphertext begins with the name of its key, so that keys can be changed one after the other, and
is bound to what it belongs to: moved to another row of the database, or with its row pointed
elsewhere, it is no secret any more.
"""

import hashlib
from collections.abc import Sequence

NONCE_BYTES = 12
"""What `encrypt` needs of entropy."""
_NAME_BYTES = 8


class UnreadableSecretError(Exception):
    """It was encrypted under another key, or for something else."""


class Cipher:
    """Encrypts texts. The keys are of any length; the first is the current one."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        digests = [hashlib.sha256(b"tollbridge secrets\0" + key).digest() for key in keys]
        self._keys = {hashlib.sha256(key).digest()[:_NAME_BYTES]: key for key in digests}
        self._current = next(iter(self._keys))

    def __repr__(self) -> str:
        return "Cipher(...)"

    def encrypt(self, text: str, about: Sequence[str], nonce: bytes) -> bytes:
        """The ciphertext; `about` says what the text belongs to. Never use a nonce twice."""
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415  see `decrypt`

        assert len(nonce) == NONCE_BYTES
        sealed = aead.AESGCM(self._keys[self._current]).encrypt(nonce, text.encode(), _bound(about))
        return self._current + nonce + sealed

    def decrypt(self, sealed: bytes, about: Sequence[str]) -> str:
        """The text.

        Raises:
            UnreadableSecretError: see there.
        """
        # Imported late: it takes 9 MB and 50 ms, and most gateways have no secret to read.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415

        name, rest = sealed[:_NAME_BYTES], sealed[_NAME_BYTES:]
        key = self._keys.get(name)
        if key is None:
            raise UnreadableSecretError("its API key was encrypted under another secrets_key")
        try:
            plain = aead.AESGCM(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], _bound(about))
        except (InvalidTag, ValueError) as error:
            raise UnreadableSecretError("its API key was encrypted for another address") from error
        return plain.decode()

    def is_current(self, sealed: bytes) -> bool:
        """Whether the first key wrote it."""
        return sealed.startswith(self._current)


def _bound(about: Sequence[str]) -> bytes:
    return "\0".join(about).encode()
