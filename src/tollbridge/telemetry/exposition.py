"""Figures in the text format of Prometheus."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tollbridge.telemetry.meter import FAMILIES, SUM, Family, Figures

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Series = dict[tuple[str, ...], int]


def render(figures: Figures, open_exchanges: int, tasks: int) -> bytes:
    """All families, those without a series too. Rows of families that are not known are left out:
    another version may have counted them.
    """
    # Only who asks for metrics pays for the library: 50 ms and some megabytes in each worker.
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.exposition import generate_latest  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures, open_exchanges, tasks))
    return generate_latest(registry)


class _Collector:
    """Hands the registry what has been counted elsewhere."""

    def __init__(self, figures: Figures, open_exchanges: int, tasks: int) -> None:
        self._figures = figures
        self._open = open_exchanges
        self._tasks = tasks

    def describe(self) -> Iterable["Metric"]:
        """Nothing: names are checked by a test, not at each scrape."""
        return ()

    def collect(self) -> Iterator["Metric"]:
        """One metric for each family."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        series: dict[str, Series] = {word: {} for word in FAMILIES}
        for (word, *labels), count in self._figures.items():
            family = FAMILIES.get(word)
            if family and len(labels) == len(family.labels) + bool(family.bounds_ms):
                series[word][tuple(labels)] = count
        for word, family in FAMILIES.items():
            yield (_histogram if family.bounds_ms else _counter)(family, series[word])
        says = "Admitted requests that have not ended, in the workers that are alive."
        yield GaugeMetricFamily("tollbridge_open_requests", says, value=self._open)
        says = "Tasks of the event loops, in the workers that are alive: what leaks shows here."
        yield GaugeMetricFamily("tollbridge_tasks", says, value=self._tasks)


def _counter(family: Family, series: Series) -> "Metric":
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415

    metric = CounterMetricFamily(family.name, family.says, labels=family.labels)
    for labels, count in sorted(series.items()):
        metric.add_metric(labels, count)
    if not family.labels and not series:
        metric.add_metric((), 0)
    return metric


def _histogram(family: Family, series: Series) -> "Metric":
    from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415

    metric = HistogramMetricFamily(family.name, family.says, labels=family.labels)
    for labels in sorted({row[:-1] for row in series}):
        buckets, below = [], 0
        for index in range(len(family.bounds_ms) + 1):
            below += series.get((*labels, str(index)), 0)
            last = index == len(family.bounds_ms)
            buckets.append(("+Inf" if last else str(family.bounds_ms[index] / 1000), below))
        metric.add_metric(labels, buckets, sum_value=series.get((*labels, SUM), 0) / 1000)
    return metric
