import pytest
from tests.unit.upstream.loopback import LOOPS, Run, run_on


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on each kind of loop."""
    return lambda coroutine: run_on(request.param, coroutine)
