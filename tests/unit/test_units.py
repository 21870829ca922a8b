"""Limits that must fit each other."""

from tollbridge import units


def test_a_worker_survives_a_late_checkpoint():
    assert units.LEASE_MS > 2 * units.CHECKPOINT_MS


def test_ticks_of_a_second_divide_the_spans():
    assert units.CHECKPOINT_MS % 1_000 == 0
    assert units.HEARTBEAT_MS % 1_000 == 0


def test_sizes_are_in_order():
    assert units.ERROR_BODY_BYTES_MAX < units.EVENT_BYTES_MAX < units.RESPONSE_BYTES_MAX
    assert units.MIB == 1024 * 1024
    assert units.MICRO == 10**6
