"""The metrics of several workers behind one port."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.gateway import Gateway, running
from tests.e2e.http_calls import call

KEY = "a-key-for-the-scraper"
CONFIG = """
[server]
workers = 2
metrics_key = "env:SCRAPE"
[models.demo]
targets = [{ upstream = "demo", model = "demo" }]
on_by_default = true
"""
REQUESTS = 12


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    config = tmp_path / "tollbridge.toml"
    config.write_text(CONFIG)
    with running(Gateway(tmp_path / "data", config, {"SCRAPE": KEY})) as started:
        yield started


def ask(gateway: Gateway, count: int, model: str = "demo") -> None:
    """So many requests, each on a connection of its own, so that both workers get some."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    for _ in range(count):
        answer = call(f"{gateway.root_url}/v1/chat/completions", body, key=gateway.key)
        assert answer.status == 200, answer.body


def scrape(gateway: Gateway) -> tuple[int, float]:
    """Requests that have ended, and what they were charged."""
    answer = call(f"{gateway.root_url}/metrics", method="GET", key=KEY)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert gateway.environment not in text
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    return (
        int(sum(s.value for s in samples if s.name == "tollbridge_requests_total")),
        sum(s.value for s in samples if s.name == "tollbridge_charged_microcredits_total"),
    )


def charged(gateway: Gateway) -> dict[str, float]:
    """Microcredits by model."""
    text = call(f"{gateway.root_url}/metrics", method="GET", key=KEY).body.decode()
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    return {
        s.labels["model"]: s.value
        for s in samples
        if s.name == "tollbridge_charged_microcredits_total"
    }


def workers(gateway: Gateway) -> list[int]:
    assert gateway.process is not None
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def figures(gateway: Gateway) -> Path:
    return gateway.data / "figures"


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in 20 s"
        time.sleep(0.05)


def test_a_scrape_is_the_sum_of_all_workers_and_never_goes_back(gateway: Gateway):
    ask(gateway, REQUESTS)
    seen = [scrape(gateway)]

    def all_told() -> bool:
        seen.append(scrape(gateway))
        return seen[-1][0] == REQUESTS

    wait_for(all_told)  # a worker leaves its figures every other second
    assert seen == sorted(seen)
    assert {scrape(gateway) for _ in range(10)} == {seen[-1]}, "whichever worker is asked"

    killed = workers(gateway)[0]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed not in workers(gateway) and len(workers(gateway)) == 2)
    wait_for(lambda: all(list(figures(gateway).glob(f"{pid}-*.lock")) for pid in workers(gateway)))
    ask(gateway, 1)
    wait_for(lambda: scrape(gateway)[0] > REQUESTS)
    before = scrape(gateway)
    assert before[0] == REQUESTS + 1, "a worker that was killed takes nothing with it"
    gateway.stop()
    gateway.start()
    assert scrape(gateway) == before, "figures outlive a restart"


def test_names_of_a_reload_are_counted_at_once(gateway: Gateway):
    ask(gateway, REQUESTS)
    wait_for(lambda: scrape(gateway)[0] == REQUESTS)
    before = charged(gateway)
    assert set(before) == {"demo"}
    assert gateway.config is not None
    gateway.config.write_text(CONFIG.replace("[models.demo]", "[models.renamed]"))
    first = workers(gateway)
    gateway.run("reload")
    gateway.run("model", "on", "renamed", "--env", gateway.environment)
    ask(gateway, REQUESTS, "renamed")
    wait_for(lambda: scrape(gateway)[0] == 2 * REQUESTS)
    assert charged(gateway) == {**before, "renamed": before["demo"]}
    assert workers(gateway) == first, "no worker was started again"


def test_nobody_else_may_ask(gateway: Gateway):
    for key in ("", gateway.key):
        answer = call(f"{gateway.root_url}/metrics", method="GET", key=key)
        assert answer.status == 401
        assert b"tollbridge_requests" not in answer.body
