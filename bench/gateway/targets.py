"""What is measured: nothing in between, nginx, Caddy, and the gateway."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.gateway.processes import (
    cpu_s,
    first_line,
    free_port,
    process,
    rss_mb,
    tree,
    wait_listening,
)

CREDITS = 1_000_000_000_000
"""More than any run can spend."""


@dataclass(frozen=True)
class Target:
    """Something that answers, and the processes whose CPU is counted."""

    name: str
    base_url: str
    key: str = "none"
    pids: tuple[int, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    def cpu(self) -> float:
        """CPU seconds of the whole tree so far."""
        return cpu_s(list(self.pids))


@contextlib.contextmanager
def nginx(upstream: str, folder: Path) -> Iterator[Target | None]:
    """A plain reverse proxy with one worker, or None where nginx is not installed."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        yield None
        return
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        "keepalive_requests 1000000000;\n"
        f"upstream fake {{ server {urlsplit(upstream).netloc}; keepalive 512;"
        " keepalive_requests 1000000000; }\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://fake;\n"
        'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}}\n'
    )
    with process([binary, "-c", str(conf), "-p", str(folder)], log=folder / "nginx.log") as started:
        wait_listening(port)
        yield Target("nginx", f"http://127.0.0.1:{port}", pids=tuple(tree(started.pid)))


@contextlib.contextmanager
def caddy(upstream: str, folder: Path) -> Iterator[Target | None]:
    """A plain reverse proxy, or None where Caddy is not installed."""
    binary = shutil.which("caddy")
    if binary is None:
        yield None
        return
    port = free_port()
    conf = folder / "Caddyfile"
    conf.write_text(
        "{\n admin off\n auto_https off\n log {\n  level ERROR\n }\n}\n"
        f"http://127.0.0.1:{port} {{\n reverse_proxy {urlsplit(upstream).netloc} {{\n"
        "  flush_interval -1\n  transport http {\n   keepalive_idle_conns_per_host 512\n  }\n"
        " }\n}\n"
    )
    command = [binary, "run", "--config", str(conf), "--adapter", "caddyfile"]
    environ = {"GOMAXPROCS": "1", "HOME": str(folder)}
    with process(command, environ=environ, log=folder / "caddy.log") as started:
        wait_listening(port)
        yield Target("caddy", f"http://127.0.0.1:{port}", pids=tuple(tree(started.pid)))


@contextlib.contextmanager
def tollbridge(upstreams: dict[str, str], folder: Path) -> Iterator[Target]:
    """The gateway with everything on and one worker; models are named as their protocol."""
    config = folder / "tollbridge.toml"
    config.write_text(
        "".join(
            f'[upstreams.{name}]\nprotocol = "{name}"\n'
            f'base_url = "{root_url}{"/v1" if name == "chat" else ""}"\n'
            f'[models.{name}]\ntargets = [{{ upstream = "{name}" }}]\non_by_default = true\n'
            for name, root_url in upstreams.items()
        )
    )
    log, data = folder / "tollbridge.log", str(folder / "data")
    program = [sys.executable, "-m", "tollbridge"]
    command = [*program, "serve", "--config", str(config), "--data", data, "--port", "0", "--json"]
    began = time.perf_counter()
    with process(command, log=log) as started:
        said = first_line(started, log)
        listening_s = time.perf_counter() - began
        environment = said["environment"]
        grant = ["pack", "grant", str(CREDITS), "--env", environment]
        done = subprocess.run(
            [*program, *grant, "--data", data, "--json"], capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"no pack for the run: {(done.stdout + done.stderr).decode()}")
        pids = tree(started.pid)
        memory = ", ".join(f"{rss_mb(pid):.0f}" for pid in pids)
        facts = {
            "listening after": f"{listening_s:.2f} s",
            "idle memory of each process": f"{memory} MB",
        }
        yield Target("tollbridge", said["root_url"], said["key"], tuple(pids), facts)
        audit = subprocess.run(
            [*program, "ledger", "audit", "--data", data, "--json"], capture_output=True, check=True
        )
        said = json.loads(audit.stdout)
        facts["ledger audit after the run"] = (
            f"{said['transfers']} transfers, {len(said['differences'])} differences,"
            f" {len(said['open_holds'])} open holds"
        )
