"""Bars are judged by the worst pair, against the reference in the client's protocol."""

import pytest
from bench.gateway.bars import BARS, GATEWAY, Bar, Verdict, verdict
from bench.gateway.results import Cell, Results


def bar(text: str, load: str) -> Bar:
    [found] = [bar for bar in BARS if text in bar.text and bar.load == load]
    return found


def results(**cells: dict[str, float]) -> Results:
    """Cells are written `load__target__pair`."""
    made = Results("--quick", "2026-01-01", "a machine")
    for name, figures in cells.items():
        load, target, pair = name.replace("_on_", " on ").split("__")
        made.add(Cell(load.replace("_", "-"), target, pair), figures)
    return made


def test_the_worst_pair_counts():
    run = results(
        paced_200__nginx__messages={"cpu_us": 10},
        paced_200__nginx__chat={"cpu_us": 20},
        paced_200__tollbridge__messages={"cpu_us": 17},
        paced_200__tollbridge__chat={"cpu_us": 38},
    )
    assert verdict(bar("1.8 x nginx", "paced-200"), run) == Verdict("1.90 x", met=False)


def test_a_translation_is_compared_in_the_protocol_of_its_client():
    run = results(
        one_shot__tollbridge__messages={"cpu_us": 100},
        one_shot__tollbridge__chat={"cpu_us": 200},
        one_shot__tollbridge__messages_on_chat={"cpu_us": 130},
        one_shot__tollbridge__chat_on_messages={"cpu_us": 220},
    )
    assert verdict(bar("1.4 x passed", "one-shot"), run) == Verdict("1.30 x", met=True)


@pytest.mark.parametrize(("cpu_us", "met"), [(6000, True), (5900, False)])
def test_at_least(cpu_us, met):
    run = results(
        one_shot__litellm__chat={"cpu_us": cpu_us}, one_shot__tollbridge__chat={"cpu_us": 100}
    )
    assert verdict(bar("60 x below", "one-shot"), run).met is met


def test_added_delay_is_what_direct_does_not_have():
    run = results(
        paced_3000__direct__messages={"delay_p99_ms": 2},
        paced_3000__nginx__messages={"delay_p99_ms": 4},
        paced_3000__tollbridge__messages={"delay_p99_ms": 5},
    )
    assert verdict(bar("added delay", "paced-3000"), run) == Verdict("1.50 x", met=True)


def test_a_delay_too_small_to_measure_divides_nothing_by_zero():
    run = results(
        paced_3000__direct__messages={"delay_p99_ms": 2},
        paced_3000__nginx__messages={"delay_p99_ms": 1.9},
        paced_3000__tollbridge__messages={"delay_p99_ms": 2.01},
    )
    assert verdict(bar("added delay", "paced-3000"), run) == Verdict("1.00 x", met=True)


def test_what_was_not_measured_is_neither_met_nor_missed():
    run = results(one_shot__tollbridge__messages={"cpu_us": 100})
    assert verdict(bar("1.1 x Caddy", "one-shot"), run) == Verdict("-", met=None)


def test_a_lost_stream_misses_the_bar():
    run = results(paced_3000__tollbridge__messages={"complete": 0.9999})
    assert verdict(bar("all complete", "paced-3000"), run).met is False


def test_a_measurement_that_failed_misses_the_bar():
    run = results(one_shot__caddy__messages={"cpu_us": 100})
    run.fail(Cell("one-shot", GATEWAY, "messages"), RuntimeError("it ended"))
    judged = verdict(bar("1.1 x Caddy", "one-shot"), run)
    assert judged == Verdict("failed: messages", met=False)
