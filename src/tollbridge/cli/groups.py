"""`tollbridge group`: upstreams that environments bring themselves."""

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from msgspec.structs import replace

from tollbridge.access.cipher import NONCE_BYTES, Cipher, UnreadableSecretError
from tollbridge.app.ports import Store
from tollbridge.bootstrap import CONFIG_NAME, read_cipher
from tollbridge.cli.context import (
    DEFAULT_DATA,
    Data,
    Env,
    Json,
    only_environment,
    the_database,
    with_store,
)
from tollbridge.cli.output import fail, print_rows, say, time_text
from tollbridge.config import DIALECTS, ConfigError, GroupsConfig, parse_groups
from tollbridge.routing.group import ANY_MODEL, OUTPUT_LIMIT_DEFAULT, Group, name_problem
from tollbridge.sources import clock
from tollbridge.units import EnvId, Tokens
from tollbridge.upstream.group_server import bound_to, open_secret
from tollbridge.upstream.guard import check_base_url

HINT_FROM_CHARS = 20
"""A shorter key is not hinted at: four characters would be too much of it."""

app = typer.Typer(no_args_is_help=True, help="An environment's own upstreams, with its own keys.")


@app.command("add")
def add(
    name: str = typer.Argument(help="The segment of addresses: /v1/ai/NAME/..."),
    base_url: str = typer.Option(help="Up to /v1/messages or /chat/completions."),
    protocol: Annotated[
        Literal["messages", "chat"], typer.Option(help="What the upstream speaks.")
    ] = "chat",
    dialect: str = typer.Option("generic", help=f"One of {', '.join(DIALECTS)}."),
    model: Annotated[
        list[str] | None, typer.Option(help="A model that it serves; left out: any name.")
    ] = None,
    output_limit: int = typer.Option(
        OUTPUT_LIMIT_DEFAULT, min=1, help="Asked of it when a client names no limit."
    ),
    api_key_env: str = typer.Option(
        "", help="Variable that holds the API key; left out: it is asked for, or read from stdin."
    ),
    replace_it: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of the one of this name.")
    ] = False,
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Add an upstream. Its API key is stored encrypted and never shown again."""
    cipher, config = _settings(data, as_json=as_json)
    if problem := name_problem(name):
        raise typer.BadParameter(problem)
    if dialect not in DIALECTS:
        raise typer.BadParameter(f"dialect: must be one of {', '.join(DIALECTS)}")
    try:
        check_base_url(base_url, config)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    models = _models(model or [ANY_MODEL])
    api_key = _api_key(api_key_env, as_json=as_json)

    async def work(store: Store) -> Group:
        env_id = await only_environment(store, env, as_json=as_json)
        group = Group(
            env_id=env_id,
            name=name,
            base_url=base_url,
            protocol=protocol,
            dialect=dialect,
            models=models,
            output_limit=Tokens(output_limit),
            secret=_encrypted(cipher, api_key, env_id, name, base_url),
            hint=api_key[-4:] if len(api_key) >= HINT_FROM_CHARS else "",
            created_at=clock(),
        )
        if not await store.put_group(group, replace=replace_it):
            fail(f"there is a group {name!r} already; see --replace", as_json=as_json)
        return group

    group = with_store(data, work, as_json=as_json)
    key = "with its API key" if api_key else "without an API key"
    say(
        f"Group {name!r} of environment {group.env_id} is served at /v1/ai/{name}, {key}.",
        {"environment": group.env_id, "group": name, "has_api_key": bool(api_key)},
        as_json=as_json,
    )


@app.command("list")
def list_all(env: Env = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List groups; never their API keys."""
    env_id = None if env is None else EnvId(env)
    rows = [
        {
            "environment": group.env_id,
            "group": group.name,
            "base_url": group.base_url,
            "protocol": group.protocol,
            "dialect": group.dialect,
            "models": ", ".join(group.models),
            "output_limit": group.output_limit,
            "api_key": ("..." + group.hint) if group.secret else None,
            "created": time_text(group.created_at),
        }
        for group in with_store(data, lambda store: store.groups(env_id), as_json=as_json)
    ]
    print_rows(rows, as_json=as_json, empty="No group yet: `tollbridge group add`.")


@app.command("models")
def models(
    name: str = typer.Argument(help="The group."),
    model: Annotated[
        list[str] | None, typer.Argument(help="All models that it serves from now on; * for any.")
    ] = None,
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show the models of a group, or set them: the very next request finds the new ones."""
    wanted = _models(model) if model else None

    async def work(store: Store) -> Group:
        env_id = await only_environment(store, env, as_json=as_json)
        found = [group for group in await store.groups(env_id) if group.name == name]
        if not found:
            _unknown(name, as_json=as_json)
        (group,) = found
        if wanted is not None:
            group = replace(group, models=wanted)
            await store.put_group(group, replace=True)
        return group

    group = with_store(data, work, as_json=as_json)
    say("\n".join(group.models), {"group": name, "models": group.models}, as_json=as_json)


@app.command("remove")
def remove(
    name: str = typer.Argument(help="The group."),
    env: Env = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Remove a group and its API key: the very next request is refused."""

    async def work(store: Store) -> bool:
        return await store.remove_group(await only_environment(store, env, as_json=as_json), name)

    if not with_store(data, work, as_json=as_json):
        _unknown(name, as_json=as_json)
    say(f"Removed group {name!r}.", {"group": name, "removed": True}, as_json=as_json)


@app.command("rekey")
def rekey(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Encrypt all API keys anew under the current `secrets_key`."""
    cipher, _ = _settings(data, as_json=as_json)

    async def work(store: Store) -> int:
        old = [g for g in await store.groups(None) if g.secret and not cipher.is_current(g.secret)]
        for group in old:
            try:
                api_key = open_secret(group, cipher)
            except UnreadableSecretError as error:
                fail(f"group {group.name!r} of {group.env_id}: {error}", as_json=as_json)
            secret = _encrypted(cipher, api_key, group.env_id, group.name, group.base_url)
            await store.put_group(replace(group, secret=secret), replace=True)
        return len(old)

    count = with_store(data, work, as_json=as_json)
    say(f"Encrypted {count} API keys anew.", {"rekeyed": count}, as_json=as_json)


def _settings(data: Path, *, as_json: bool) -> tuple[Cipher, GroupsConfig]:
    """What encrypts secrets, and what the operator's file says of groups."""
    database = the_database(data, as_json=as_json)
    path = Path(os.environ.get("TOLLBRIDGE_CONFIG") or CONFIG_NAME)
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        server, groups = parse_groups(text, os.environ)
        if database.url and not server.secrets_key:
            raise ConfigError(
                "server.secrets_key: set one, for instance env:SECRETS_KEY, the same on every"
                " replica; with PostgreSQL a file on this machine would not be enough"
            )
        data.mkdir(parents=True, exist_ok=True)
        return read_cipher(server, data), groups
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        fail(f"{path}: {error}", as_json=as_json)


def _api_key(variable: str, *, as_json: bool) -> str:
    """From the environment, a person or a pipe; never from the command line, which others see."""
    if variable:
        value = os.environ.get(variable, "")
        if not value:
            fail(f"the environment variable {variable} is not set", as_json=as_json)
    elif sys.stdin.isatty():
        value = typer.prompt("API key (empty: none)", default="", hide_input=True, err=True)
    else:
        value = sys.stdin.readline()
    value = value.strip()
    if not (value.isascii() and value.isprintable()):
        fail("an API key has printable ASCII characters only", as_json=as_json)
    return value


def _encrypted(cipher: Cipher, api_key: str, env_id: str, name: str, base_url: str) -> bytes:
    if not api_key:
        return b""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return cipher.encrypt(api_key, bound_to(env_id, name, base_url), nonce)


def _models(names: list[str]) -> tuple[str, ...]:
    if not all(names):
        raise typer.BadParameter("a model's name is not empty")
    return tuple(sorted(set(names)))


def _unknown(name: str, *, as_json: bool) -> NoReturn:
    fail(f"there is no group {name!r}; see `tollbridge group list`", as_json=as_json)
