import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.storage.database import DATABASE_NAME


def test_a_good_file(run: Run, config: Path):
    said = run("config", "check", config)
    assert said.out == f"{config} is good. Upstreams: none. Models: demo, vendor/chat.\n"
    told = run("config", "check", config, "--json").json()
    assert told == {"ok": True, "upstreams": [], "models": ["demo", "vendor/chat"]}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[upstreams.x]\nbase_url = "ftp://x"\nprotocol = "chat"', "upstreams.x.base_url"),
        ('[upstreams.x]\nbase_url = "http://x"\nprotocol = "chat"\napi_key = "env:NOT_SET"', "NOT_SET"),
        ('[models.m]\ntargets = [{upstream = "x"}]', "no upstream 'x'"),
        ("x = 1", "x"),
    ],
)  # fmt: skip
def test_a_bad_file(run: Run, text: str, word: str):
    path = Path("bad.toml")
    path.write_text(text)
    check_failure(run("config", "check", path), "bad.toml: ", word, "check again")
    said = run("config", "check", path, "--json")
    assert said.status == 1
    assert word in said.json()["error"]


def test_the_file_of_this_folder(run: Run):
    check_failure(run("config", "check"), "tollbridge.toml: cannot be read: No such file")


@pytest.fixture
def upstream() -> Iterator[HTTPServer]:
    """A server that lists its models, or answers what its `status` says."""

    class Models(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Models)
    server.status = 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def config_of(server: HTTPServer) -> Path:
    path = Path("up.toml")
    path.write_text(
        f'[upstreams.local]\nbase_url = "http://127.0.0.1:{server.server_port}"\n'
        'protocol = "chat"\napi_key = "sk-very-secret"\n'
        '[models.m]\ntargets = [{upstream = "local"}]\n'
    )
    return path


def test_doctor_finds_all_well(run: Run, upstream: HTTPServer):
    said = run("doctor", "--config", config_of(upstream), "--json")
    assert said.status == 0
    rows = {row["what"]: row for row in said.json()}
    assert {row["state"] for row in rows.values()} == {"good"}
    assert rows["database"]["detail"] == "none yet: `serve` makes it"
    assert rows["upstream local"]["detail"] == "answers 200"
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("status", "detail"), [(401, "answers 401: its api_key is refused"), (500, "answers 500")]
)
def test_doctor_finds_an_upstream_ill(run: Run, upstream: HTTPServer, status: int, detail: str):
    upstream.status = status  # type: ignore[attr-defined]
    said = run("doctor", "--config", config_of(upstream))
    assert said.status == 1
    assert detail in said.out
    assert "sk-very-secret" not in said.out + said.err


def test_doctor_finds_an_upstream_away(run: Run, upstream: HTTPServer):
    path = config_of(upstream)
    path.write_text(path.read_text().replace(str(upstream.server_port), "1"))
    said = run("doctor", "--config", path, "--json")
    assert said.status == 1
    assert {row["what"]: row["state"] for row in said.json()}["upstream local"] == "bad"


def test_doctor_looks_into_the_database(run: Run, env: str, config: Path):
    assert run("doctor", "--config", config).status == 0
    with sqlite3.connect(Path("data") / DATABASE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    said = run("doctor", "--config", config)
    assert said.status == 1
    assert "version 99" in said.out
    Path("file").write_text("")
    assert run("doctor", "--config", config, "--data", "file").status == 1
