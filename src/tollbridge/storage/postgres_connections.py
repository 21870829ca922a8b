"""Connections to PostgreSQL: a few per worker, made when needed, replaced when they break."""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.units import DATABASE_ANSWER_S, DATABASE_CONNECT_S

SETTINGS = {
    "jit": "off",
    # Every statement of the hot path is prepared, and finds a handful of rows by their keys. These
    # keep the planner from planning anew, and from reading whole tables while they are still small.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "idle_in_transaction_session_timeout": "10000",
}
_SET = """
SELECT set_config(s.name, wanted.value, false)
  FROM unnest($1::text[], $2::text[]) AS wanted (name, value) JOIN pg_settings AS s USING (name)
"""


Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Trouble(enum.Enum):
    """What an error of the database means for whoever met it."""

    CONFLICT = enum.auto()
    """The transaction was rolled back for the sake of another: try it again."""
    AWAY = enum.auto()
    """The connection or the server is gone, or no primary: try it elsewhere or later."""
    REFUSED = enum.auto()
    """The values are not acceptable: trying again does not help."""
    BROKEN = enum.auto()
    """The database cannot do it: a full disk, a missing right or table."""


def trouble(error: BaseException) -> Trouble | None:
    """None: this is no error of the database."""
    if isinstance(error, asyncpg.PostgresError):
        return _trouble_of_code(error.sqlstate or "")
    if isinstance(
        error,
        OSError | EOFError | asyncpg.InterfaceError | asyncpg.InternalClientError,
    ):
        return Trouble.AWAY  # a `TimeoutError` is an `OSError`
    return None


def _trouble_of_code(code: str) -> Trouble:
    """Of an SQLSTATE (PostgreSQL's manual, appendix A)."""
    if code in {"40001", "40P01"}:
        return Trouble.CONFLICT
    if code[:2] in {"22", "23"}:
        return Trouble.REFUSED
    # No connection, the server is stopping, this is no primary, too many connections.
    if code[:2] in {"08", "57"} or code in {"25006", "53300"}:
        return Trouble.AWAY
    return Trouble.BROKEN


def unavailable(error: BaseException) -> StoreUnavailableError:
    """The port's error, with its cause and the remedy if there is one."""
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        message = "the database lacks Tollbridge's schema; run `tollbridge db migrate`"
    else:
        message = f"the database is away: {str(error) or type(error).__name__}"
    away = StoreUnavailableError(message)
    away.__cause__ = error
    return away


class Connections:
    """At most `size` connections to one database.

    `dsn` may name several hosts; the one that accepts writes is taken.
    """

    def __init__(self, dsn: str, size: int) -> None:
        self._dsn = dsn
        self._size = size
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(size)
        self._closed = False

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """A connection for one transaction. One that ends in trouble is not used again.

        Raises:
            StoreUnavailableError: this was closed.
            OSError, TimeoutError, asyncpg.PostgresError: the database cannot be reached.
        """
        if self._closed:
            raise StoreUnavailableError("the database was closed")
        async with self._free:
            connection = await self._take()
            sound = False
            try:
                yield connection
                sound = True
            except asyncpg.PostgresError as error:
                sound = trouble(error) is Trouble.REFUSED
                raise
            finally:
                # Otherwise an answer may be under way; and nobody rolls a transaction back.
                if sound and not (self._closed or connection.is_in_transaction()):
                    self._idle.append(connection)
                else:
                    connection.terminate()

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._dsn)

    async def close(self) -> None:
        """Close those that are idle; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError):
                await connection.close(timeout=DATABASE_CONNECT_S)
        # Those that were cut off before are closed by the event loop in its next turn.
        await asyncio.sleep(0)


async def connect(dsn: str) -> Connection:
    """A connection to the host that accepts writes, with the settings of the hot path."""
    hosts = _each_host(dsn)
    # One by one: of several, the library would wait for the first that is silent until time is up.
    for host in hosts[:-1]:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InternalClientError):
            return await _connect(host, DATABASE_CONNECT_S / len(hosts))
    return await _connect(hosts[-1], DATABASE_CONNECT_S / len(hosts))


def _each_host(dsn: str) -> list[str]:
    """The address once for each host that it names with commas before the database."""
    parts = urlsplit(dsn)
    if "," not in parts.netloc:
        return [dsn]
    user, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=f"{user}{at}{host}").geturl() for host in hosts.split(",")]


async def _connect(dsn: str, timeout_s: float) -> Connection:
    connection: Connection = await asyncpg.connect(
        dsn,
        timeout=timeout_s,
        command_timeout=DATABASE_ANSWER_S,
        target_session_attrs=SessionAttribute.read_write,
        server_settings={"application_name": "tollbridge"},
    )
    try:
        # Settings that an engine does not know are left out.
        await connection.fetch(_SET, list(SETTINGS), list(SETTINGS.values()))
    except BaseException:
        connection.terminate()
        raise
    return connection
