"""The line of an exchange is one JSON object whose members have their order."""

import json

import msgspec

from tollbridge.telemetry.log_lines import ExchangeLine


def test_members_in_order():
    members = ExchangeLine.__struct_fields__
    line = ExchangeLine(*range(len(members)))
    told = json.loads(msgspec.json.encode(line))
    assert list(told) == list(members)
    assert list(told.values()) == list(range(len(members)))
    assert members[:3] == ("at", "event", "request_id")
