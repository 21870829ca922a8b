"""A changed `tollbridge.toml` on its way to the workers of a running gateway.

The supervising process reads and checks the file, whole, and passes what it says to the workers
through a file without a name that they have inherited: a worker never reads the operator's file,
so that all of them have the same. A bad file changes nothing. Called in order: `prepare` and
`finish` in the supervising process, `newest` in each worker in between.
"""

import os
import tempfile
from collections.abc import Callable, Mapping

import msgspec

from tollbridge.bootstrap import Settings
from tollbridge.config import Config, ConfigError
from tollbridge.server.pid_file import PidFile, ReloadReport
from tollbridge.telemetry.logs import LogObserver

AT_START = frozenset(
    {
        "server.host", "server.port", "server.workers", "server.seal_key", "storage.url",
        "server.metrics_key", "server.secrets_key", "server.secrets_keys_old",
        "groups.allow_http", "groups.allow_private", "groups.connections_max",
        "alerts.levels", "alerts.webhook", "alerts.secret",
    }
)  # fmt: skip
"""Settings that take effect when the gateway starts. A change of one is told, and waits."""

STOP_GRACE_S = 10.0
"""What a worker may take to stop beyond the time that its exchanges are given."""


class Rollout:
    """Implements `server.supervisor.Rollout`. `settings` are those in force."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Config],
        pid_file: PidFile,
        observer: LogObserver,
    ) -> None:
        """`read` raises `ConfigError`."""
        self.settings = settings
        self._read = read
        self._pid_file = pid_file
        self._observer = observer
        self._waiting: list[str] = []
        self._channel = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the process

    def prepare(self) -> bool:
        """Read the file, and have what it says ready for the workers; False: it is refused."""
        try:
            config, self._waiting = merge(self.settings.config, self._read())
        except ConfigError as error:
            self._report(ReloadReport(refused=str(error)))
            return False
        except Exception as error:  # noqa: BLE001  # no file may end a gateway that serves
            self._observer.trouble("bug in the reading of the file", error)
            self._report(ReloadReport(refused=f"cannot be read: {type(error).__name__}"))
            return False
        try:
            self._pass_on(msgspec.json.encode(config) + b"\n")
        except OSError as error:
            why = f"cannot be passed on to the workers: {error.strerror}; is there room in"
            self._report(ReloadReport(refused=f"{why} {tempfile.gettempdir()}?"))
            return False
        self.settings = self.settings._replace(config=config)
        return True

    def _pass_on(self, line: bytes) -> None:
        """Write it behind what is there: a worker that is still reading reads something whole."""
        end = self._channel.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._channel.write(line) :]
        except OSError:
            self._channel.truncate(end)
            raise

    def newest(self) -> Config:
        """What `prepare` read last; before that, what is in force: a signal to all processes may
        come to a worker first."""
        descriptor = self._channel.fileno()
        said = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        *_, whole, _ = [b"", *said.split(b"\n")]
        return msgspec.json.decode(whole, type=Config) if whole else self.settings.config

    def finish(self, answers: Mapping[int, str]) -> None:
        """What the workers said: an empty answer is a good one."""
        workers = {str(pid): answer for pid, answer in answers.items()}
        self._report(ReloadReport(workers=workers, needs_restart=tuple(self._waiting)))

    def kill_after_s(self) -> float:
        """A worker that has not stopped by then is killed; its holds are recovered by others."""
        server = self.settings.config.server
        return server.unready_s + server.drain_s + STOP_GRACE_S

    def close(self) -> None:
        """The gateway has ended."""
        self._channel.close()
        self._pid_file.remove()

    def _report(self, report: ReloadReport) -> None:
        self._observer.reloaded(report.reasons, report.needs_restart)
        self._pid_file.report(report)


def merge(old: Config, new: Config) -> tuple[Config, list[str]]:
    """The new configuration with the old one's settings where these cannot change now, and the
    names of those that wait for a restart.
    """
    waiting = []
    for path in sorted(AT_START):
        table, _, name = path.partition(".")
        before = getattr(getattr(old, table), name)
        section = getattr(new, table)
        if getattr(section, name) != before:
            waiting.append(path)
            kept = msgspec.structs.replace(section, **{name: before})
            new = msgspec.structs.replace(new, **{table: kept})
    return new, waiting
