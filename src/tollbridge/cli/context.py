"""What the commands share: options, the opened store, durations and amounts."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from tollbridge.app.ports import (
    GrantConflictError,
    StoreUnavailableError,
    UnknownEnvironmentError,
)
from tollbridge.bootstrap import CONFIG_NAME, open_store, read_config
from tollbridge.cli.output import fail
from tollbridge.config import Config, ConfigError
from tollbridge.storage.sqlite import SqliteStore
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

DEFAULT_DATA = Path("data")
_DURATION = re.compile(r"(\d+)([smhdw])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def with_store(
    data: Path, work: Callable[[SqliteStore], Awaitable[T]], *, as_json: bool = False
) -> T:
    """Open the store, do the work, close it; the store's refusals end the command."""

    async def run() -> T:
        store = open_store(data)
        try:
            return await work(store)
        finally:
            await store.close("")

    try:
        return asyncio.run(run())
    except UnknownEnvironmentError as error:
        fail(f"{error}; see `tollbridge env list`", as_json=as_json)
    except (GrantConflictError, StoreUnavailableError) as error:
        fail(str(error), as_json=as_json)


def load_config(path: Path | None, *, as_json: bool = False) -> Config | None:
    """The operator's file; None: none was named and there is none here."""
    if path is None:
        path = Path(CONFIG_NAME)
        if not path.exists():
            return None
    try:
        return read_config(path, os.environ)
    except ConfigError as error:
        fail(f"{path}: {error}", as_json=as_json)


async def only_environment(store: SqliteStore, env: str | None) -> EnvId:
    """The named environment, or the only one there is."""
    if env is not None:
        return EnvId(env)
    environments = await store.environments()
    if len(environments) != 1:
        known = ", ".join(e.env_id for e in environments) or "none yet"
        fail(f"name an environment with --env; there are: {known}")
    return environments[0].env_id


def parse_duration(text: str) -> int:
    """`90s`, `15m`, `12h`, `30d` or `4w` in milliseconds.

    Raises:
        typer.BadParameter: it is not such a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no duration; write for example 12h or 30d")
    return int(match[1]) * _UNIT_MS[match[2]]


def parse_credits(text: str) -> MicroCredits:
    """Credits as a person writes them (`1000000`, `1_000_000`, `2.5`, `500k`, `100M`, `1G`).

    Raises:
        typer.BadParameter: it is no positive amount with at most six decimals.
    """
    match = re.fullmatch(r"([\d_,]+)(?:\.(\d{1,6}))?([kMG]?)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no amount; write for example 1000000 or 500k")
    whole, decimals, unit = match.groups()
    scale = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[unit]
    amount = int(re.sub("[_,]", "", whole)) * MICRO + int((decimals or "").ljust(6, "0"))
    if amount == 0:
        raise typer.BadParameter("the amount must be positive")
    return MicroCredits(amount * scale)
