import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tollbridge.server.pid_file import FOLDER, PidFile, ReloadReport, running

PROGRAM = """
import sys, time
from pathlib import Path
from tollbridge.server.pid_file import PidFile, ReloadReport
file = PidFile(Path(sys.argv[1]))
file.report(ReloadReport(workers={"7": "is late"}, needs_restart=("server.port",)))
print("made", flush=True)
sys.stdin.read()
file.remove()
"""


@contextmanager
def another(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a file of its own: a lock does not exclude the process that has it."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"made\n"
        yield process
        process.kill()


def test_a_folder_without_gateways(tmp_path: Path):
    assert list(running(tmp_path)) == []
    assert list(running(tmp_path / "nowhere")) == []


def test_a_gateway_is_found_with_its_report(tmp_path: Path):
    with another(tmp_path) as process:
        (found,) = running(tmp_path)
        assert found.pid == process.pid
        report = found.report()
        assert report == ReloadReport(
            number=1, workers={"7": "is late"}, needs_restart=("server.port",)
        )
        assert report.reasons == ["worker 7 is late"]
        process.communicate()
        assert list(running(tmp_path)) == []
        assert found.report() is None


def test_a_gateway_that_was_killed_is_not_found_and_cleared_away(tmp_path: Path):
    with another(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list(running(tmp_path)) == []
        assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_report_that_is_being_written_is_none(tmp_path: Path):
    with another(tmp_path):
        (found,) = running(tmp_path)
        found.path.write_bytes(b'{"number":')
        assert found.report() is None


def test_what_keeps_a_file_from_being_in_force():
    assert ReloadReport(refused="mend it", workers={"7": ""}).reasons == ["mend it"]
    assert ReloadReport(workers={"7": "", "8": ""}).reasons == []


def test_the_file_is_its_owner_s(tmp_path: Path):
    file = PidFile(tmp_path)
    path = tmp_path / FOLDER / str(os.getpid())
    assert path.stat().st_mode & 0o077 == 0
    file.remove()
    assert not path.exists()


def test_a_data_folder_that_is_none(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        PidFile(tmp_path / "file")
