"""`tollbridge serve`: the gateway, ready to be used within a minute of nothing."""

import errno
import secrets
import socket
import sys
from functools import partial
from pathlib import Path

import typer

from tollbridge.access.keys import ENV_ID_ENTROPY_BYTES, mint_env_id
from tollbridge.app import exchange
from tollbridge.app.ports import Grant, Store
from tollbridge.bootstrap import CONFIG_NAME, Settings
from tollbridge.cli.banner import Opening, banner
from tollbridge.cli.context import DEFAULT_DATA, ConfigFile, Data, Json, with_store
from tollbridge.cli.deployment import deployed, deployed_again
from tollbridge.cli.keys import issue_key
from tollbridge.cli.output import fail, print_json
from tollbridge.config import DEMO_UPSTREAM, Config
from tollbridge.rollout import Rollout
from tollbridge.server.pid_file import PidFile
from tollbridge.server.supervisor import supervise
from tollbridge.sources import clock
from tollbridge.storage.database import Database
from tollbridge.telemetry.logs import LogObserver
from tollbridge.units import MICRO, MicroCredits, PackId
from tollbridge.worker import work

TRIAL_CREDITS = MicroCredits(1_000_000 * MICRO)
"""CloudBase's gift to a new environment: a million tokens (`cloudbase.md` 3.4)."""


def serve(
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    host: str = typer.Option("", help="Address to listen on; default from the file."),
    port: int | None = typer.Option(
        None, min=0, max=65535, help="Port; 0 takes a free one; default from the file, 8787."
    ),
    workers: int | None = typer.Option(
        None, min=1, help="Worker processes; default from the file, 1."
    ),
    demo_pace_ms: float = typer.Option(
        15.0, min=0, help="Milliseconds between the demo model's words."
    ),
    as_json: Json = False,
) -> None:
    """Start the gateway. The first run makes an environment, a key and a trial pack."""
    what = deployed(config, as_json=as_json)
    host = host or what.server.host
    wanted = what.server.port if port is None else port
    try:
        port = _bindable(host, wanted)
    except (OSError, OverflowError) as error:
        fail(_bind_failure(host, wanted, error), as_json=as_json)
    root_url = f"http://{_authority(host)}:{port}"
    opening = with_store(
        data,
        lambda store: _open(store, what, root_url),
        as_json=as_json,
        create=True,
        database=Database(data, what.storage.url),
    )
    if config is None and Path(CONFIG_NAME).exists():
        config = Path(CONFIG_NAME)  # from now on its absence is an error
    try:
        pid_file = PidFile(data)
    except OSError as error:
        fail(f"{data}: {error.strerror}; name another folder with --data", as_json=as_json)
    rollout = Rollout(
        Settings(what, data, demo_pace_ms),
        partial(deployed_again, config),
        pid_file,
        LogObserver(sys.stderr, clock),
    )
    status = supervise(
        lambda post: work(rollout.settings, rollout.newest, post),
        host=host,
        port=port,
        workers=workers or what.server.workers,
        announce=partial(_announce, opening, as_json=as_json),
        rollout=rollout,
    )
    rollout.close()
    if status:
        raise typer.Exit(status)


async def _open(store: Store, what: Config, root_url: str) -> Opening:
    """What the database holds; an empty one gets what a first request needs."""
    key = None
    environments = await store.environments()
    if environments:
        env_id = environments[0].env_id
    else:
        env_id = mint_env_id(secrets.token_bytes(ENV_ID_ENTROPY_BYTES))
        await store.create_environment(env_id, "first environment", clock())
        await store.switch(env_id, list(what.models), on=True)
        trial = Grant(
            env_id=env_id,
            pack_id=PackId("trial"),
            amount=TRIAL_CREDITS,
            expires_at=None,
            models=(),
            now=clock(),
        )
        await store.grant(trial)
        _, key = await issue_key(store, env_id, "first key", None)
    on = await store.models_on(env_id)
    packs = await store.packs(env_id)
    models = [name for name in what.models if name in on]
    return Opening(
        root_url=root_url,
        environment=env_id,
        key=key,
        models=models,
        demo_models=[
            name
            for name in models
            if all(t.upstream == DEMO_UPSTREAM for t in what.models[name].targets)
        ],
        available=sum(pack.available for pack in packs),
        environments=max(1, len(environments)),
        domain=what.server.domain,
        compiled=not exchange.__file__.endswith(".py"),
    )


def _announce(opening: Opening, *, as_json: bool) -> None:
    if as_json:
        print_json(opening.as_json())
    else:
        print(banner(opening), flush=True)


def _bindable(host: str, port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        OSError: it cannot be listened on.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        bound: int = probe.getsockname()[1]
        return bound


def _bind_failure(host: str, port: int, error: Exception) -> str:
    match error:
        case OSError(errno=errno.EADDRINUSE):
            return f"port {port} on {host} is taken; choose another with --port (0: any free one)"
        case OSError(errno=errno.EACCES):
            return f"port {port} needs more rights than you have; choose one above 1023 with --port"
        case OSError():
            return f"cannot listen on {host}: {error.strerror}; choose another with --host"
        case _:
            return f"{port} is no port; choose one from 0 to 65535"


def _authority(host: str) -> str:
    """How a client on this machine writes the host; every address answers on the loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
