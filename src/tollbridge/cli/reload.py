"""`tollbridge reload`: the operator's file is read again, and no stream is dropped."""

import os
import signal
import time

import typer

from tollbridge.cli.context import DEFAULT_DATA, Data, Json
from tollbridge.cli.output import fail, print_json
from tollbridge.server.pid_file import ReloadReport, Running, running
from tollbridge.server.supervisor import ANSWER_AFTER_S

PATIENCE_S = 2 * ANSWER_AFTER_S + 5
"""A reload may have to wait for the one before it."""
STEP_S = 0.02


def reload(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Have the running gateways of a data folder read their file again.

    A file that is not good is refused, and everything stays as it was.
    """
    gateways = list(running(data))
    if not gateways:
        fail(f"no gateway is running on {data}; name its folder with --data", as_json=as_json)
    reports = {gateway.pid: _reload(gateway) for gateway in gateways}
    if as_json:
        print_json({str(pid): report for pid, report in reports.items()})
    else:
        for pid, report in reports.items():
            print("\n".join(lines(pid, report)))
    if any(report.reasons for report in reports.values()):
        raise typer.Exit(1)


def lines(pid: int, report: ReloadReport) -> list[str]:
    """For a person."""
    if report.refused:
        return [f"Gateway {pid} keeps its settings: {report.refused}"]
    count = len(report.workers)
    told = [f"Gateway {pid} has read its file; {count} worker{'' if count == 1 else 's'}:"]
    told += [f"  {worker}: {said or 'in force'}" for worker, said in report.workers.items()]
    told += [f"  {setting} needs a restart" for setting in report.needs_restart]
    return told


def _reload(gateway: Running) -> ReloadReport:
    before = gateway.report()
    try:
        os.kill(gateway.pid, signal.SIGHUP)
    except OSError as error:
        return ReloadReport(refused=f"it cannot be told: {error.strerror}")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        report = gateway.report()
        if report is not None and report.number > (before.number if before else 0):
            return report
        time.sleep(STEP_S)
    return ReloadReport(refused="it has not answered; look at its log")
