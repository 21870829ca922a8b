"""Environments' own upstreams: read when a request names one, remembered by generation.

As with keys there is no time to live. What is remembered is used for requests of the generation in
which it was read; the admission of a request confirms its generation.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tollbridge.app.ports import AccountStore, KeyRecord, ModelServer
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import NAME_CHARS_MAX
from tollbridge.routing.group import Group, group_unknown, name_problem
from tollbridge.units import GROUPS_MAX, EnvId

LOOP_HEADER = "cdn-loop"
"""Names who has forwarded a request (RFC 8586), so that none comes round again and again."""

OpenServer = Callable[[Group], ModelServer]
"""Connects to nothing. Raises `GatewayError` for a group that cannot be used here."""


class OwnGroup(NamedTuple):
    """A group with the server that speaks to its upstream."""

    group: Group
    server: ModelServer
    generation: int


class Groups:
    """The groups that requests have named."""

    def __init__(
        self, store: AccountStore, open_server: OpenServer, deployment: str = "tollbridge"
    ) -> None:
        """`deployment` is the name of these replicas in `LOOP_HEADER`."""
        self._store = store
        self._deployment = deployment
        self._open_server = open_server
        self._known: dict[tuple[EnvId, str], OwnGroup] = {}
        """The one that was used last is the last."""

    async def find(self, record: KeyRecord, name: str, headers: Mapping[str, str]) -> OwnGroup:
        """The group of this name in the environment of the key, for a request with these headers.

        Raises:
            GatewayError: GROUP_UNKNOWN, or that it cannot be used here.
            StoreUnavailableError: the database is away.
        """
        if self._deployment in headers.get(LOOP_HEADER, ""):
            raise GatewayError(
                ErrorCode.UPSTREAM_REFUSED,
                f"Group {name[:NAME_CHARS_MAX]!r} leads back to this gateway; its base URL must"
                " be another server's.",
            )
        name = name.lower()
        if name_problem(name):
            raise group_unknown(name)  # without asking a database that may not be able to spell it
        key = (record.env_id, name)
        known = self._known.get(key)
        if known is None or known.generation != record.generation:
            known = await self._read(key)
        self._known[key] = self._known.pop(key, known)
        if len(self._known) > GROUPS_MAX:
            await self._drop(next(iter(self._known)))
        return known

    async def close(self) -> None:
        """Close what is idle."""
        for key in list(self._known):
            await self._drop(key)

    async def _read(self, key: tuple[EnvId, str]) -> OwnGroup:
        generation, group = await self._store.find_group(*key)
        known = self._known.get(key)
        if known is not None and known.generation >= generation:
            return known  # another request was faster
        if known is not None and known.group == group:
            self._known[key] = fresh = known._replace(generation=generation)
            return fresh
        await self._drop(key)
        if group is None:
            raise group_unknown(key[1])
        self._known[key] = fresh = OwnGroup(group, self._open_server(group), generation)
        return fresh

    async def _drop(self, key: tuple[EnvId, str]) -> None:
        """Exchanges under way keep their connections to the end."""
        known = self._known.pop(key, None)
        if known is not None:
            await known.server.close()
