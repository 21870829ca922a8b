"""`tollbridge serve`: the gateway, ready to be used within a minute of nothing."""

import asyncio
import secrets
import socket
import threading
import time
from functools import partial
from pathlib import Path

import typer

from tollbridge.access.keys import ENV_ID_ENTROPY_BYTES, mint_env_id
from tollbridge.app.ports import Grant
from tollbridge.bootstrap import Settings, clock, load_worker, open_store
from tollbridge.cli.banner import Opening, banner
from tollbridge.cli.context import DEFAULT_DATA, ConfigFile, Data, Json
from tollbridge.cli.deployment import deployed
from tollbridge.cli.keys import issue_key
from tollbridge.cli.output import fail, print_json
from tollbridge.config import DEMO_UPSTREAM, Config
from tollbridge.server.listener import listen
from tollbridge.units import MICRO, MicroCredits, PackId

TRIAL_CREDITS = MicroCredits(1_000_000 * MICRO)
"""CloudBase's gift to a new environment: a million tokens (`cloudbase.md` 3.4)."""

POLL_S = 0.005


def serve(
    config: ConfigFile = None,
    data: Data = DEFAULT_DATA,
    host: str = typer.Option("", help="Address to listen on; default from the file."),
    port: int = typer.Option(-1, help="Port; 0 takes a free one; default from the file, 8787."),
    workers: int = typer.Option(0, help="Worker processes; default from the file, 1."),
    demo_pace_ms: float = typer.Option(15.0, help="Pause between the demo model's words."),
    as_json: Json = False,
) -> None:
    """Start the gateway. The first run makes an environment, a key and a trial pack."""
    what = deployed(config, as_json=as_json)
    host = host or what.server.host
    port = what.server.port if port < 0 else port
    workers = workers or what.server.workers
    if port == 0:
        port = _free_port(host)
    elif not _is_free(host, port):
        fail(f"port {port} on {host} is taken; choose another with --port", as_json=as_json)
    opening = asyncio.run(_open(what, data, f"http://{_authority(host)}:{port}"))
    announcer = threading.Thread(target=_announce, args=(opening, host, port, as_json), daemon=True)
    announcer.start()
    listen(
        partial(load_worker, Settings(what, data, demo_pace_ms)),
        host=host,
        port=port,
        workers=workers,
    )


async def _open(what: Config, data: Path, root_url: str) -> Opening:
    """What this data folder holds; an empty one gets what a first request needs."""
    store = open_store(data)
    key = None
    try:
        environments = await store.environments()
        if not environments:
            env_id = mint_env_id(secrets.token_bytes(ENV_ID_ENTROPY_BYTES))
            await store.create_environment(env_id, "first environment", clock())
            await store.switch(env_id, list(what.models), on=True)
            await store.grant(
                Grant(
                    env_id=env_id,
                    pack_id=PackId("trial"),
                    amount=TRIAL_CREDITS,
                    expires_at=None,
                    models=(),
                    now=clock(),
                )
            )
            _, key = await issue_key(store, env_id, "first key", None)
        else:
            env_id = environments[0].env_id
        on = await store.models_on(env_id)
        packs = await store.packs(env_id)
    finally:
        await store.close("")
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
    )


def _announce(opening: Opening, host: str, port: int, as_json: bool) -> None:
    """Print once the gateway answers: what is announced before may never come."""
    while not _answers(host, port):
        time.sleep(POLL_S)
    if as_json:
        print_json(opening.as_json())
    else:
        print(banner(opening), flush=True)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(
                b"GET /healthz HTTP/1.1\r\nhost: tollbridge\r\nconnection: close\r\n\r\n"
            )
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _authority(host: str) -> str:
    return f"[{host}]" if ":" in host else host
