"""The real gateway as a subprocess: started, spoken to by its own commands, stopped or killed."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SERVED = os.environ.get("PYTHONPATH") or str(ROOT / "src")
"""Where the gateway is: its compiled modules, if `make test` has put them there, or its sources."""
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 20
READS_MODELS = (("model", "on"), ("model", "list"), ("env", "create"))
"""Commands that take `--config` beside those that always do."""


class GatewayError(AssertionError):
    """The gateway did not do what the test needs to go on; holds what it said."""


@dataclass
class Gateway:
    """One data directory, and the process that serves it while it runs."""

    data: Path
    config: Path | None = None
    environ: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    """The line that `serve --json` prints once it listens."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """What an SDK is configured with."""
        return str(self.info["base_url"])

    @property
    def root_url(self) -> str:
        """Scheme, host and port."""
        return str(self.info["root_url"])

    @property
    def key(self) -> str:
        """A key of the first environment."""
        return str(self.info["key"])

    @property
    def environment(self) -> str:
        """The first environment."""
        return str(self.info["environment"])

    def start(self, *options: str) -> None:
        """Serve on a free port, and return when it listens."""
        command = self._command("serve", "--port", "0", *options)
        self.data.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        poll = select.poll()  # unlike `select` it takes descriptors of any number
        poll.register(self.process.stdout, select.POLLIN | select.POLLHUP)
        ready = poll.poll(START_TIMEOUT_S * 1_000)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            raise GatewayError(f"`serve` printed nothing in {START_TIMEOUT_S} s\n{self.log_tail}")
        said = json.loads(line)
        # The key is shown once: a second start on the same data has none to show.
        self.info = {**self.info, **{name: value for name, value in said.items() if value}}

    def stop(self) -> None:
        """Ask it to end, and insist that it ends well."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise GatewayError(
                f"still up {STOP_TIMEOUT_S} s after SIGTERM\n{self.log_tail}"
            ) from None
        self._close()
        if status != 0:
            raise GatewayError(f"ended with status {status} after SIGTERM\n{self.log_tail}")

    def kill(self) -> None:
        """End the whole process group at once, as a power cut would."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_TIMEOUT_S)
        self._close()

    def run(self, *arguments: str) -> Any:
        """Run one command on the same data; returns the JSON it prints."""
        command = self._command(*arguments)
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode()
            raise GatewayError(f"`{' '.join(arguments)}` ended with {done.returncode}\n{said}")
        return json.loads(done.stdout)

    @property
    def log_tail(self) -> str:
        """The last of what the process wrote to standard error."""
        return self._log.read_text(errors="replace")[-4000:]

    @property
    def _log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": SERVED, **self.environ}

    def _command(self, *arguments: str) -> list[str]:
        config = ["--config", str(self.config)] if self.config else []
        reads_models = (
            arguments[0] in ("serve", "config", "doctor") or arguments[:2] in READS_MODELS
        )
        return [
            sys.executable, "-m", "tollbridge", *arguments,
            *(config if reads_models else ()), "--data", str(self.data), "--json",
        ]  # fmt: skip

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None


@contextlib.contextmanager
def running(gateway: Gateway, *options: str) -> Iterator[Gateway]:
    """A started gateway that must also end well."""
    gateway.start(*options)
    try:
        yield gateway
    finally:
        if gateway.process is not None:
            gateway.stop()
