"""The life of one worker process: from nothing to the last settled exchange."""

import asyncio
import contextlib
import gc
from collections.abc import Callable

from tollbridge.app.gateway import Gateway
from tollbridge.app.ports import StoreUnavailableError
from tollbridge.bootstrap import Settings, build_gateway
from tollbridge.config import Config
from tollbridge.renewal import keep_prices, renew
from tollbridge.server.application import Application
from tollbridge.server.connection import Connection
from tollbridge.server.process import keep_freed_memory, raise_descriptors, resident_bytes
from tollbridge.server.site import Site
from tollbridge.server.supervisor import Post
from tollbridge.units import DESCRIPTORS_RESERVED, MIB

GC_THRESHOLDS = (8_000, 1, 200)
"""Objects of a request die by reference counts, most before eight thousand are there; the few
cycles, those of errors, can wait. But while thousands of streams begin, their objects stay: the
collector must not look at too many at a time, for meanwhile all streams stand still. It takes two
milliseconds for eight thousand."""

RETRY_S = 1.0
"""After this a reload is tried again that waits for the database."""


async def work(settings: Settings, newest: Callable[[], Config], post: Post) -> None:
    """Serve until the post is to end, with the newest settings whenever there are new ones."""
    worker = Worker(build_gateway(settings))
    await worker.start(post)
    renewals = asyncio.ensure_future(worker.renew_when_told(newest, post))
    await post.stop.wait()
    renewals.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await renewals
    await worker.stop()


class OverloadError(Exception):
    """More comes in than this process may take on."""


class Worker:
    """One process's gateway, and the connections that it serves."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._application = Application(gateway)
        self._site = Site(
            self._application.serve,
            gateway.clock,
            gateway.config.server.body_bytes_max,
            connections_max=max(1, (raise_descriptors() - DESCRIPTORS_RESERVED) // 2),
        )
        self._site.on_tick = self._look_around

    @property
    def inside(self) -> int:
        """Exchanges under way, see `app.pulse.Door`."""
        return self._application.intake.inside

    def cut(self) -> None:
        """See `app.pulse.Door`."""
        self._site.cut()

    async def start(self, post: Post) -> None:
        """Serve."""
        await keep_prices(self._gateway)
        await self._gateway.pulse.start()
        await self._site.listen(post.listening, lambda: Connection(self._site))
        keep_freed_memory()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked at again
        post.ready()

    async def renew_when_told(self, newest: Callable[[], Config], post: Post) -> None:
        """Take new settings whenever there are some, until cancelled."""
        while True:
            await post.reload.wait()
            post.reload.clear()
            try:
                await self._renew(newest())
            except StoreUnavailableError as error:
                self._gateway.observer.trouble("the new settings wait for the database", error)
                post.answer("waits for the database, and takes the new settings when it is back")
                asyncio.get_running_loop().call_later(RETRY_S, post.reload.set)
            except Exception as error:  # noqa: BLE001  # the settings stay, the worker serves on
                self._gateway.observer.trouble("bug in a reload", error)
                post.answer(f"keeps the old settings because of a bug: {type(error).__name__}")
            else:
                post.answer("")

    async def stop(self) -> None:
        """Finish what is under way, then end."""
        gateway, site = self._gateway, self._site
        server = gateway.config.server
        self._application.leaving = site.draining = True
        await asyncio.sleep(server.unready_s)
        site.refuse()
        await gateway.pulse.drain(server.drain_s, self)
        await site.close()
        await gateway.pulse.stop()
        for model_server in gateway.servers.values():
            await model_server.close()
        await gateway.groups.close()
        # While settlements are in the spool the lease runs on: whoever adopts them should come
        # before those who would recover their holds at the last checkpoint.
        worker_id = "" if gateway.settler.waiting else gateway.pulse.worker_id
        await gateway.store.close(worker_id)

    def _look_around(self) -> None:
        """Once a second."""
        intake, site, observer = self._application.intake, self._site, self._gateway.observer
        resident = resident_bytes()
        if intake.weigh(resident) and intake.full_of_memory:
            short = OverloadError(f"{resident // MIB} MiB are in use")
            observer.trouble("memory is short: requests are refused", short)
        if site.turned_away:
            turned_away, site.turned_away = site.turned_away, 0
            many = OverloadError(f"{turned_away} connections in a second")
            observer.trouble("file descriptors are short: clients are turned away", many)

    async def _renew(self, config: Config) -> None:
        old, new = self._gateway, await renew(self._gateway, config)
        self._gateway = new
        self._application.use(new)
        self._site.body_bytes_max = config.server.body_bytes_max
        for name, server in old.servers.items():
            if new.servers.get(name) is not server:
                # Exchanges that began with it go on with it; what is idle is closed.
                await server.close()
