from collections import Counter

from prometheus_client.parser import text_string_to_metric_families
from tests.unit.telemetry.test_logs import SETTLEMENT

from tollbridge.app.ports import Waits
from tollbridge.telemetry.exposition import render
from tollbridge.telemetry.meter import FAMILIES, Figures, Meter


class Read:
    """What Prometheus reads."""

    def __init__(self, figures: Figures, open_exchanges: int = 0, tasks: int = 0) -> None:
        text = render(figures, open_exchanges, tasks).decode()
        self.samples = [s for f in text_string_to_metric_families(text) for s in f.samples]

    def __call__(self, name: str, *values: str) -> float:
        """The one sample with these labels' values, in any order."""
        (found,) = [
            sample.value
            for sample in self.samples
            if sample.name == name and sorted(sample.labels.values()) == sorted(values)
        ]
        return found


def test_counters_and_the_gauges():
    meter = Meter({"模型"}, {"demo"})
    meter.exchange_ended(SETTLEMENT, 200, None, Waits(), 1)
    meter.attempt_ended("req_1", "demo", None)
    read = Read(meter.figures, 7, 12)
    assert read("tollbridge_requests_total", "messages", "模型", "true", "finished", "200", "") == 1
    assert read("tollbridge_tokens_total", "模型", "output") == 4
    assert read("tollbridge_charged_microcredits_total", "模型") == 5
    assert read("tollbridge_upstream_attempts_total", "demo", "") == 1
    assert read("tollbridge_troubles_total") == 0
    assert read("tollbridge_open_requests") == 7
    assert read("tollbridge_tasks") == 12


def test_a_histogram_is_cumulative_and_in_seconds():
    meter = Meter({"模型"}, {"demo"})
    for span_ms in (3, 40, 400_000):
        meter.exchange_ended(SETTLEMENT, 200, None, Waits(first_event_ms=span_ms), 1)
    read = Read(meter.figures)
    name, labels = "tollbridge_first_event_seconds", ("messages", "模型")
    assert [
        read(f"{name}_bucket", *labels, bound)
        for bound in ("0.001", "0.005", "0.05", "300.0", "+Inf")
    ] == [0, 1, 2, 2, 3]
    assert read(f"{name}_count", *labels) == 3
    assert read(f"{name}_sum", *labels) == 400.043


def test_rows_of_another_version_are_left_out():
    other = Counter({("gone", "x"): 1, ("requests", "too few"): 1, ("troubles",): 2})
    read = Read(other)
    assert read("tollbridge_troubles_total") == 2
    assert not [
        sample
        for sample in read.samples
        if sample.name.startswith("gone") or "too few" in sample.labels.values()
    ]


def test_every_family_has_a_name_of_its_own_and_a_sentence():
    names = [family.name for family in FAMILIES.values()]
    assert len(set(names)) == len(names)
    for family in FAMILIES.values():
        assert family.says.endswith("."), family
        assert family.name.startswith("tollbridge_")
