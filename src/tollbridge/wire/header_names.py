"""Names of HTTP headers in lower case: the same few come with every request and every answer."""

from tollbridge.units import HEADER_NAMES_MAX

NAME_BYTES_MAX = 64
NAMES: dict[bytes, str] = {}


def name_in_lower_case(name: bytes) -> str:
    """And remember it, within bounds. Looking into `NAMES` first is cheaper than a call."""
    key = name.lower().decode("latin-1")
    if len(NAMES) < HEADER_NAMES_MAX and len(name) <= NAME_BYTES_MAX:
        NAMES[name] = key
    return key
