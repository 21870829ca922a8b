import signal
import subprocess
import sys
from pathlib import Path

from tests.unit.cli.conftest import Run, check_failure

from tollbridge.cli.reload import lines
from tollbridge.server.pid_file import ReloadReport

PROGRAM = """
import signal, sys
from pathlib import Path
from tollbridge.server.pid_file import PidFile, ReloadReport
file = PidFile(Path("data"))
bad = sys.argv[1]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
print("made", flush=True)
signal.sigwait([signal.SIGHUP])
file.report(ReloadReport(refused=bad) if bad else ReloadReport(workers={"7": ""}))
signal.pause()
"""


def reloaded(run: Run, bad: str = ""):
    """What the command says to a gateway that answers so."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, bad], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"made\n"
        said = run("reload", "--json")
        process.send_signal(signal.SIGKILL)
        return said, str(process.pid)


def test_nobody_to_reload(run: Run):
    check_failure(run("reload"), "no gateway is running on data", "--data")


def test_a_reload_says_what_the_workers_said(run: Run):
    said, pid = reloaded(run)
    assert said.status == 0
    assert said.json() == {pid: {"number": 1, "workers": {"7": ""}}}
    assert list(Path("data/running").iterdir())


def test_a_refusal_is_a_failure(run: Run):
    said, pid = reloaded(run, "server.port: must be at most 65535")
    assert said.status == 1
    assert said.json()[pid]["refused"] == "server.port: must be at most 65535"


def test_what_a_person_reads():
    assert lines(5, ReloadReport(refused="no")) == ["Gateway 5 keeps its settings: no"]
    workers = {"7": "", "8": "has not answered yet"}
    assert lines(5, ReloadReport(workers=workers, needs_restart=("server.port",))) == [
        "Gateway 5 has read its file; 2 workers:",
        "  7: in force",
        "  8: has not answered yet",
        "  server.port needs a restart",
    ]
