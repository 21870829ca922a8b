"""An upstream's base URL, taken apart once."""

from typing import NamedTuple
from urllib.parse import urlsplit


class Origin(NamedTuple):
    """Where connections go and what stands in front of every path."""

    tls: bool
    host: str
    """A name in its ASCII form or an address; IPv6 without brackets."""
    port: int
    authority: str
    """The `host` header: IPv6 in brackets, no default port."""
    prefix: str
    """Put in front of every path; no slash at its end."""

    @property
    def place(self) -> str:
        """Host and port, the default one too."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_origin(base_url: str, where: str = "base_url") -> Origin:
    """Take a base URL such as `https://models.example/v1/` apart.

    Raises:
        ValueError: beginning with `where`, saying what is wrong. The text of the URL is not
            repeated, for people put passwords into URLs.
    """
    try:
        parts = urlsplit(base_url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        raise ValueError(f"{where}: the host or the port is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{where}: must begin with http:// or https://")
    if not host:
        raise ValueError(f"{where}: names no host")
    if "@" in parts.netloc:
        raise ValueError(f"{where}: credentials belong into api_key, not into the URL")
    if parts.query or parts.fragment:
        raise ValueError(f"{where}: must not have a query or a fragment")
    if not (base_url.isascii() and base_url.isprintable() and " " not in base_url):
        raise ValueError(f"{where}: must be printable ASCII without spaces")
    tls = parts.scheme == "https"
    default_port = 443 if tls else 80
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != default_port:
        authority += f":{port}"
    return Origin(
        tls, host, default_port if port is None else port, authority, parts.path.rstrip("/")
    )
