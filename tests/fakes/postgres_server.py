"""A real PostgreSQL server of Debian's packages, started by the tests that need one.

PostgreSQL refuses to run as root, so root starts it as the user `postgres` of the package.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tollbridge.storage.postgres_migrations import migrate

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ROOT / ".test-env" / "left-out" / "postgres"
"""Written by `make test` when the server could not be installed."""
START_TIMEOUT_S = 60
USER = "postgres"
TEMPLATE = "tollbridge_template"
FAST = ("fsync=off", "full_page_writes=off")
"""Safe against the death of processes, not of the machine: enough for tests."""


class NoServerError(Exception):
    """No PostgreSQL server is installed; the message says why."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`, of the newest version installed.

    Raises:
        NoServerError: there is none.
    """
    found = [
        path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres") if path.is_file()
    ]
    on_path = shutil.which("postgres")
    if on_path is not None:
        found.append(Path(on_path).parent)
    if not found:
        why = LEFT_OUT.read_text().strip() if LEFT_OUT.exists() else "no server is installed"
        raise NoServerError(f"{why}; on Debian: apt-get install postgresql")
    return max(found, key=lambda path: [int(n) for n in path.parent.name.split(".") if n.isdigit()])


class PostgresServer:
    """One cluster in a folder of its own; may be killed and started again."""

    def __init__(self, *settings: str, copy_of: "PostgresServer | None" = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tollbridge-pg-"))
        self.port = free_port()
        self._has_template = False
        self._databases = 0
        self._settings = settings
        self._bin = binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._user = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        if copy_of is None:
            self._tool("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C",
                       f"--username={USER}", f"--pgdata={self.data}")  # fmt: skip
        else:
            self._tool("pg_basebackup", "--no-sync", "--checkpoint=fast", "--write-recovery-conf",
                       f"--pgdata={self.data}", f"--dbname={copy_of.primary_conninfo(self.name)}")  # fmt: skip

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self.folder / "data"

    @property
    def name(self) -> str:
        """Tells standbys apart."""
        return f"standby_{self.port}"

    def dsn(self, database: str = "postgres") -> str:
        """What a store is opened with."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def primary_conninfo(self, standby: str) -> str:
        """What a standby follows."""
        return f"host=127.0.0.1 port={self.port} user={USER} application_name={standby}"

    def start(self) -> None:
        """Return when it accepts connections."""
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            *self._settings,
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *(f"-c{s}" for s in settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._identity(),
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{self.log_tail}")
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        done = subprocess.run(
            [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        )
        return done.returncode == 0

    def stop(self) -> None:
        """End it, without waiting for its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """End all its processes at once."""
        assert self._process is not None
        pid = self._process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children")
        children = listed.read_text().split() if listed.exists() else []
        for victim in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        self._process.wait(START_TIMEOUT_S)
        self._process = None
        # Its children are no longer ours to wait for; a new server must not meet them.
        while any(_is_running(child) for child in children):
            time.sleep(0.005)

    def cpu_s(self) -> float:
        """CPU time of the server's processes so far, of those that have ended as well."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        own = [_cpu_ticks(child)[:2] for child in children] + [_cpu_ticks(str(pid))]
        return sum(map(sum, own)) / os.sysconf("SC_CLK_TCK")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._tool("pg_ctl", "promote", "--wait", "-D", str(self.data))

    def create_database(self, name: str) -> str:
        """A new, empty database; returns its DSN."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.dsn(name)

    def create_ledger(self) -> str:
        """A new database with the schema of the program; returns its DSN."""
        if not self._has_template:
            self.create_database(TEMPLATE)
            with ThreadPoolExecutor(1) as thread:  # the test may run in a loop of its own
                thread.submit(asyncio.run, migrate(self.dsn(TEMPLATE))).result()
            self._has_template = True
        self._databases += 1
        name = f"ledger_{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.dsn(name)

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser; returns the rows, columns separated by `|`."""
        return self._tool("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database), "-c", sql)  # fmt: skip

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log_tail(self) -> str:
        """The last of what the server logged."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _tool(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._bin / name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            check=False,
            text=True,
            **self._identity(),
        )
        if done.returncode != 0:
            raise AssertionError(f"{name} failed:\n{done.stdout}")
        return done.stdout

    def _identity(self) -> dict[str, int | list[int]]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def postgres_running(*settings: str) -> Iterator[PostgresServer]:
    """A started server, removed at the end."""
    server = PostgresServer(*settings)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _cpu_ticks(pid: str) -> tuple[int, ...]:
    """User, system, and the same of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return (0, 0, 0, 0)
    return tuple(map(int, fields[11:15]))


def _is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
