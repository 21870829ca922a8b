"""What tests of several kinds need: a PostgreSQL server, the byte loops in C and in Python, and how
many examples the properties try.

`--hypothesis-profile=long` is for a night, the default for every run. Tests that say a number of
their own keep it.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from tests.fakes.postgres_server import FAST, NoServerError, PostgresServer, postgres_running
from tests.scan_in_c import NoCompilerError, scan_in_c

from tollbridge.storage.sqlite_files import MEMORY

_numbers = itertools.count()

settings.register_profile("short", deadline=None, max_examples=30)
settings.register_profile(
    "long", deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("short")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for databases of one's own; not to be killed."""
    try:
        with postgres_running(*FAST) as server:
            yield server
    except NoServerError as error:
        pytest.skip(f"PostgreSQL is left out: {error}")


@pytest.fixture(scope="session")
def c_scan() -> ModuleType:
    """What `wire/scan` offers, in C."""
    try:
        return scan_in_c()
    except NoCompilerError as error:
        pytest.skip(f"the byte loops in C are left out: {error}")


@pytest.fixture
def memory() -> Path:
    """The path of a SQLite database in memory that nobody else has."""
    return MEMORY / str(next(_numbers))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the storm and the soak last."""
    parser.addoption("--storm-seconds", type=float, default=15.0, help="length of tests/storm")
    parser.addoption("--soak-seconds", type=float, default=60.0, help="length of tests/soak")


@pytest.fixture
def storm_seconds(request: pytest.FixtureRequest) -> float:
    """How long the storm lasts."""
    seconds: float = request.config.getoption("--storm-seconds")
    return seconds


@pytest.fixture
def soak_seconds(request: pytest.FixtureRequest) -> float:
    """How long the soak lasts."""
    seconds: float = request.config.getoption("--soak-seconds")
    return seconds
