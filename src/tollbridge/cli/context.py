"""What the commands share: options, the opened store, durations and amounts."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from msgspec.structs import replace

from tollbridge.app.ports import (
    CorrectionConflictError,
    CorrectionRefusedError,
    GrantConflictError,
    Store,
    StoreUnavailableError,
    UnknownEnvironmentError,
    UnknownPackError,
)
from tollbridge.bootstrap import CONFIG_NAME, read_config
from tollbridge.cli.output import fail
from tollbridge.config import Config, ConfigError, parse_storage
from tollbridge.ledger.model import Limits
from tollbridge.storage.database import Database
from tollbridge.storage.migrations import SchemaVersionError
from tollbridge.units import MICRO, EnvId, MicroCredits

T = TypeVar("T")

Data = Annotated[
    Path,
    typer.Option("--data", envvar="TOLLBRIDGE_DATA", help="Folder of the embedded database."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="TOLLBRIDGE_CONFIG",
        help=f"The operator's file; without it ./{CONFIG_NAME} if there is one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Env = Annotated[
    str | None,
    typer.Option("--env", help="Environment; may be left out while there is only one."),
]

Concurrency = Annotated[
    int | None, typer.Option(min=0, help="Requests under way at once; 0: no limit.")
]
RequestsPerMinute = Annotated[
    int | None, typer.Option(min=0, help="Requests in a minute of the clock; 0: no limit.")
]
TokensPerMinute = Annotated[
    int | None, typer.Option(min=0, help="Tokens in a minute of the clock; 0: no limit.")
]

DEFAULT_DATA = Path("data")
_DURATION = re.compile(r"([0-9]{1,12})([smhdw])")
_CREDITS = re.compile(r"([0-9][0-9_,]{0,24})(?:\.([0-9]{1,6}))?([kMG]?)")
DURATION_MAX_MS = 36_500 * 86_400_000
CREDITS_MAX = 10**12
"""In one pack: a trillion tokens at weight 1. The sum of many packs still fits a database's int."""

SCHEMA_REMEDY = "use the Tollbridge that wrote it, or name another folder with --data"
STORE_REMEDY = "see that it is whole and yours to read, and try again if another program holds it"
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def with_store(
    data: Path,
    work: Callable[[Store], Awaitable[T]],
    *,
    as_json: bool = False,
    create: bool = False,
    database: Database | None = None,
) -> T:
    """Open the store, do the work, close it; the store's refusals end the command.

    Unless `create` is set the database must exist: a folder's name with a typing error would
    otherwise become an empty gateway.
    """
    if database is None:
        database = the_database(data, as_json=as_json)

    async def run() -> T:
        await database.prepare(create=create)
        store = database.open()
        try:
            return await work(store)
        finally:
            await store.close("")

    if not create:
        require_database(database, as_json=as_json)
    try:
        return asyncio.run(run())
    except UnknownEnvironmentError as error:
        fail(f"{error}; see `tollbridge env list`", as_json=as_json)
    except UnknownPackError as error:
        fail(f"{error}; see `tollbridge pack list`", as_json=as_json)
    except CorrectionRefusedError as error:
        fail(f"{error}; see `tollbridge pack list`", as_json=as_json)
    except (CorrectionConflictError, GrantConflictError) as error:
        fail(f"{error}; take another --id, or none", as_json=as_json)
    except SchemaVersionError as error:
        fail(f"{database}: {error}; {SCHEMA_REMEDY}", as_json=as_json)
    except StoreUnavailableError as error:
        fail(f"{database}: {error}; {STORE_REMEDY}", as_json=as_json)
    except OSError as error:
        fail(
            f"{data}: {error.strerror}; name another folder with --data, or mend this one",
            as_json=as_json,
        )


def the_database(data: Path, *, as_json: bool = False) -> Database:
    """What the operator's file names, else the file in the data folder."""
    path = Path(os.environ.get("TOLLBRIDGE_CONFIG") or CONFIG_NAME)
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        return Database(data, parse_storage(text, os.environ).url)
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        fail(f"{path}: {error}; mend it first", as_json=as_json)


def require_database(database: Database, *, as_json: bool) -> None:
    """End the command if there is no embedded file."""
    try:
        found = bool(database.url) or database.path.is_file()
    except OSError:
        found = False
    if not found:
        fail(
            f"there is no database in {database.data}; name its folder with --data,"
            " or begin with `tollbridge serve`",
            as_json=as_json,
        )


def load_config(path: Path | None, *, as_json: bool = False) -> Config | None:
    """The operator's file; None: none was named and there is none here."""
    if path is None:
        path = Path(CONFIG_NAME)
        if not path.exists():
            return None
    try:
        return read_config(path, os.environ)
    except ConfigError as error:
        fail(f"{path}: {error}; mend it and try `tollbridge config check`", as_json=as_json)


def changed_limits(
    limits: Limits,
    concurrency: int | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
) -> Limits:
    """The limits with those that were given; the others stay."""
    given = {
        "concurrency": concurrency,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    return replace(limits, **{name: value for name, value in given.items() if value is not None})


def limits_text(limits: Limits) -> str:
    """For a person: `5 at once, 60 requests/min`."""
    told = [
        f"{number} {words}"
        for number, words in (
            (limits.concurrency, "at once"),
            (limits.requests_per_minute, "requests/min"),
            (limits.tokens_per_minute, "tokens/min"),
        )
        if number
    ]
    return ", ".join(told) or "none"


async def only_environment(store: Store, env: str | None, *, as_json: bool = False) -> EnvId:
    """The named environment, or the only one there is."""
    if env is not None:
        return EnvId(env)
    environments = await store.environments()
    if not environments:
        fail("there is no environment yet; make one with `tollbridge env create`", as_json=as_json)
    if len(environments) > 1:
        known = ", ".join(e.env_id for e in environments)
        fail(f"say which environment with --env; there are: {known}", as_json=as_json)
    return environments[0].env_id


def parse_duration(text: str) -> int:
    """`90s`, `15m`, `12h`, `30d` or `4w` in milliseconds.

    Raises:
        typer.BadParameter: it is not such a duration.
    """
    match = _DURATION.fullmatch(text)
    duration = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if duration == 0:
        raise typer.BadParameter(
            f"{text!r} is no duration; write for example 90s, 15m, 12h, 30d or 4w"
        )
    if duration > DURATION_MAX_MS:
        raise typer.BadParameter(f"{text!r} is longer than a hundred years")
    return duration


def parse_credits(text: str) -> MicroCredits:
    """Credits as a person writes them (`1000000`, `1_000_000`, `2.5`, `500k`, `100M`, `1G`).

    Raises:
        typer.BadParameter: it is no positive amount with at most six decimals, or too large.
    """
    match = _CREDITS.fullmatch(text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is no amount; write for example 1000000, 2.5, 500k, 100M or 1G"
        )
    whole, decimals, unit = match.groups()
    scale = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[unit]
    amount = int(re.sub("[_,]", "", whole)) * MICRO + int((decimals or "").ljust(6, "0"))
    amount *= scale
    if amount == 0:
        raise typer.BadParameter("the amount must be more than 0")
    if amount > CREDITS_MAX * MICRO:
        raise typer.BadParameter(f"{text!r} is more than a pack can hold ({CREDITS_MAX:,})")
    return MicroCredits(amount)
