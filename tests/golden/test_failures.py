import pytest
from tests.golden.failures import Row, answers, read


@pytest.mark.parametrize("row", read(), ids=lambda row: row.title)
def test_failure(row: Row):
    assert answers(row.upstream) == row.clients


def test_no_page_tells_the_upstreams_secrets():
    told = "".join(line for row in read() for line in row.clients)
    assert not [secret for secret in ("sk-ant-secret123", "10.0.0.7") if secret in told]
