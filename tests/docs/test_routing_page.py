"""The numbers on the page are those of the code."""

from pathlib import Path

import pytest

from tollbridge.config import UpstreamConfig
from tollbridge.routing.affinity import SESSION_HEADERS
from tollbridge.routing.health import (
    EJECTION_MS,
    EJECTION_MS_MAX,
    PARKED_S_MAX,
    STREAK_MAX,
    WINDOW_FAILURES,
    WINDOW_MS,
    WINDOW_SHARE,
)
from tollbridge.routing.plan import (
    ATTEMPTS_MAX,
    BACKOFF_MS,
    RETRIES_MAX,
    SPREAD_MS,
    WAIT_MS_MAX,
)
from tollbridge.translate.failures import RETRY_AFTER_MAX_S

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = " ".join((DOCS / "routing.md").read_text().split())
UPSTREAM = UpstreamConfig(base_url="http://lab.test", protocol="chat")


@pytest.mark.parametrize(
    "phrase",
    [
        f"random wait of up to {BACKOFF_MS} ms, then up to {2 * BACKOFF_MS} ms",
        f"and up to {SPREAD_MS} ms more",
        f"at most {RETRIES_MAX} such retries, {ATTEMPTS_MAX} attempts",
        f"and {WAIT_MS_MAX // 1_000} seconds of waiting in all",
        f"never more than {RETRY_AFTER_MAX_S} s",
        f"{STREAK_MAX} failures in a row",
        f"in {WINDOW_MS // 1_000} seconds {WINDOW_FAILURES} requests",
        f"for {EJECTION_MS // 1_000} seconds",
        f"up to {EJECTION_MS_MAX // 60_000} minutes",
        f"at most {PARKED_S_MAX} s",
        *(f"`{name}`" for name in SESSION_HEADERS),
    ],
)
def test_the_page_says(phrase: str):
    assert phrase in PAGE


def test_half_is_half():
    assert WINDOW_SHARE == 0.5
    assert "at least half of them failed" in PAGE


def test_defaults_in_the_table_of_settings():
    table = (DOCS / "configuration.md").read_text()
    assert f"wait for one of those places ({UPSTREAM.queue_max})" in table
    assert f"and for how long ({UPSTREAM.queue_wait_s:g})" in table
