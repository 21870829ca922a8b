"""What lives as long as the process: wired once by `bootstrap`, handed to every exchange."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tollbridge.app.directory import Directory
from tollbridge.app.ports import AccountStore, Clock, Entropy, ModelServer, Observer, Vault
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.config import Config
from tollbridge.ledger.pricing import Weights
from tollbridge.routing.catalog import Catalog


class Price(NamedTuple):
    """A model's price and the version that charges name."""

    weights: Weights
    version: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything an exchange needs."""

    config: Config
    catalog: Catalog
    prices: Mapping[str, Price]
    directory: Directory
    store: AccountStore
    servers: Mapping[str, ModelServer]
    observer: Observer
    vault: Vault
    pulse: Pulse
    settler: Settler
    clock: Clock
    entropy: Entropy
    seal_key: bytes = field(repr=False)
    """See `config.ServerConfig.seal_key`."""
