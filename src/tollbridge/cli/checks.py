"""`tollbridge config check` and `tollbridge doctor`."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import typer

from tollbridge.app.ports import StoreUnavailableError, UpstreamError, UpstreamRequest
from tollbridge.bootstrap import read_config
from tollbridge.cli.context import DEFAULT_DATA, ConfigFile, Data, Json
from tollbridge.cli.deployment import deployed
from tollbridge.cli.output import fail, print_rows, say
from tollbridge.config import ConfigError, UpstreamConfig
from tollbridge.storage.database import Database
from tollbridge.storage.migrations import SchemaVersionError
from tollbridge.upstream.headers import request_headers
from tollbridge.upstream.http_client import HttpUpstream

config_app = typer.Typer(no_args_is_help=True, help="Check the operator's file, tollbridge.toml.")


@config_app.callback()
def _config() -> None:
    """The operator's file."""


@config_app.command("check")
def check(
    path: Path = typer.Argument(Path("tollbridge.toml"), help="The file."), as_json: Json = False
) -> None:
    """Validate a file whole, without starting anything."""
    try:
        config = read_config(path, os.environ)
    except ConfigError as error:
        fail(f"{path}: {error}; mend it and check again", as_json=as_json)
    say(
        f"{path} is good. Upstreams: {', '.join(config.upstreams) or 'none'}."
        f" Models: {', '.join(config.models) or 'none'}.",
        {"ok": True, "upstreams": list(config.upstreams), "models": list(config.models)},
        as_json=as_json,
    )


def doctor(config: ConfigFile = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Look at what a gateway needs: Python, the database, the models, the upstreams."""
    what = deployed(config, as_json=as_json)
    rows = [
        _finding("python", sys.version_info >= (3, 11), sys.version.split()[0]),
        _database(Database(data, what.storage.url)),
        _finding("models", bool(what.models), ", ".join(what.models) or "none is deployed"),
    ]
    rows += asyncio.run(_upstreams(what.upstreams))
    print_rows(rows, as_json=as_json, empty="")
    if any(row["state"] == "bad" for row in rows):
        raise typer.Exit(1)


Row = dict[str, str | int | None]


def _finding(what: str, good: bool, detail: str) -> Row:
    return {"what": what, "state": "good" if good else "bad", "detail": detail}


def _database(database: Database) -> Row:
    try:
        if not database.url and not database.path.exists():
            return _finding("database", not database.data.is_file(), "none yet: `serve` makes it")
        asyncio.run(_open_and_close(database))
    except (SchemaVersionError, StoreUnavailableError, OSError) as error:
        return _finding("database", False, f"{database}: {error}")
    return _finding("database", True, str(database))


async def _open_and_close(database: Database) -> None:
    await database.prepare(create=False)
    await database.open().close("")


async def _upstreams(upstreams: Mapping[str, UpstreamConfig]) -> list[Row]:
    return list(await asyncio.gather(*(_upstream(n, u) for n, u in upstreams.items())))


async def _upstream(name: str, config: UpstreamConfig) -> Row:
    """Ask for the list of models: it needs the credential and costs nothing."""
    patient = msgspec.structs.replace(config, first_byte_timeout_s=10.0)
    upstream = HttpUpstream.from_config(patient, os.environ)
    path = "/v1/models" if config.protocol == "messages" else "/models"
    headers = request_headers(config.protocol, config.dialect, config.api_key, {}, stream=False)
    try:
        reply = await upstream.send(UpstreamRequest("GET", path, headers, b""))
        reply.abort()
    except UpstreamError as error:
        return _finding(f"upstream {name}", False, str(error))
    finally:
        await upstream.close()
    good = reply.status in (200, 404)  # not every server lists its models
    refused = ": its api_key is refused" if reply.status in (401, 403) else ""
    return _finding(f"upstream {name}", good, f"answers {reply.status}{refused}")
