"""In which order one request prefers a model's targets: ranks first, then weights and affinity.

Within a rank the order is that of weighted rendezvous hashing: each target draws a number from the
key, and the smallest, divided by its weight, is first. So weights and affinity are one mechanism:
over many keys each target is first in proportion to its weight, one key always gives one order, and
a target that comes or goes moves no more sessions than its own share.
"""

import hashlib
from collections.abc import Sequence
from math import log

from tollbridge.routing.catalog import Target

_SCALE = 2.0**64


def order(targets: Sequence[Target], key: bytes) -> list[Target]:
    """The targets in the order in which the bearer of this key prefers them."""
    return sorted(targets, key=lambda target: (target.rank, _draw(target, key)))


def _draw(target: Target, key: bytes) -> float:
    """Exponentially distributed with the weight as its rate: the smallest of several is one
    target's with a probability in proportion to its weight."""
    name = f"{target.upstream}\0{target.model}\0".encode()
    digest = hashlib.blake2b(name + key, digest_size=8).digest()
    return -log((int.from_bytes(digest) + 0.5) / _SCALE) / target.weight
