"""Another configuration for a gateway that is running."""

import asyncio
import os
from dataclasses import replace

from tollbridge.app.gateway import Gateway
from tollbridge.bootstrap import build_prices, build_server, build_tokenizers
from tollbridge.config import DEMO_UPSTREAM, Config
from tollbridge.ledger.pricing import OWN_BOOK
from tollbridge.routing.catalog import Catalog


async def renew(gateway: Gateway, config: Config) -> Gateway:
    """The gateway with what another configuration yields; the old one can still be used.

    An upstream whose entry is the same keeps its client and its line. New price books are stored
    before anything is charged by them.

    Raises:
        StoreUnavailableError: the database is away.
    """
    same = {
        name
        for name, upstream in config.upstreams.items()
        if gateway.config.upstreams.get(name) == upstream
    }
    servers = {
        name: gateway.servers[name] if name in same else build_server(upstream, os.environ)
        for name, upstream in config.upstreams.items()
    }
    servers[DEMO_UPSTREAM] = gateway.servers[DEMO_UPSTREAM]
    renewed = replace(
        gateway,
        config=config,
        catalog=Catalog.of(config),
        prices=build_prices(config),
        servers=servers,
        tokenizers=await asyncio.to_thread(build_tokenizers, config),
        routing=gateway.routing.renewed(config, same),
    )
    await keep_prices(renewed)
    if gateway.scoreboard is not None:
        gateway.scoreboard.learn(config.models.keys(), config.upstreams.keys())
    return renewed


async def keep_prices(gateway: Gateway) -> None:
    """Store the price books, so that what is charged by them can be explained.

    Raises:
        StoreUnavailableError: the database is away.
    """
    books = {book.version: book.text() for book in (OWN_BOOK, *gateway.prices.values())}
    await gateway.store.keep_prices(books, gateway.clock())
