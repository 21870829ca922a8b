"""What an exchange needs, wired by `bootstrap`. It takes it once, at its start.

A new configuration makes a new one, which shares with the old what lives as long as the process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tollbridge.app.attempts import Routing
from tollbridge.app.directory import Directory
from tollbridge.app.group_directory import Groups, OwnGroup
from tollbridge.app.ports import (
    AccountStore,
    Clock,
    CountText,
    Entropy,
    Inbound,
    KeyRecord,
    ModelServer,
    Observer,
    Scoreboard,
    Vault,
)
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.config import Config
from tollbridge.ledger.pricing import OWN_BOOK, PriceBook
from tollbridge.routing.catalog import Catalog, Model, is_own
from tollbridge.translate.calibration import Calibration


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything an exchange needs."""

    config: Config
    catalog: Catalog
    prices: Mapping[str, PriceBook]
    directory: Directory
    groups: Groups
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
    calibration: Calibration = field(default_factory=Calibration)
    tokenizers: Mapping[str, CountText] = field(default_factory=dict)
    """By model, where its entry names a file."""
    scoreboard: Scoreboard | None = None
    """None: nobody may ask."""
    routing: Routing = field(default_factory=Routing)

    async def resolve(
        self, inbound: Inbound, record: KeyRecord, name: str
    ) -> tuple[OwnGroup | None, Model]:
        """The model that a client names, and the environment's own group if it is one of that.

        Raises:
            GatewayError: there is no such group or model, or it is not switched on.
        """
        if is_own(inbound.group):
            own = await self.groups.find(record, inbound.group, inbound.headers)
            return own, own.group.resolve(name)
        return None, self.catalog.resolve(inbound.group, name, record.models_on)

    def price_book(self, model: Model) -> PriceBook:
        """What the model's tokens cost here."""
        return OWN_BOOK if model.own else self.prices[model.name]
