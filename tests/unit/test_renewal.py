"""What a renewed gateway shares with the one before, and what is new."""

import asyncio
import re
import sqlite3
from contextlib import closing

from tollbridge.bootstrap import Settings, build_gateway
from tollbridge.config import parse_config
from tollbridge.renewal import renew
from tollbridge.storage.database import DATABASE_NAME

TEXT = """
[upstreams.lab]
base_url = "http://127.0.0.1:9"
protocol = "chat"
api_key = "env:LAB_KEY"
concurrency_max = 5
[models.m]
targets = [{upstream = "lab"}]
[models.d]
targets = [{upstream = "demo"}]
price = {output = 2}
"""
CONFIG = parse_config(TEXT, {"LAB_KEY": "sk-secret"})


def test_a_renewal_keeps_what_is_the_same(tmp_path):
    text = TEXT.replace('9"', '10"') + '[upstreams.new]\nbase_url = "http://127.0.0.1:9"\n'
    other = parse_config(text + 'protocol = "chat"\n', {"LAB_KEY": "sk-secret"})

    async def scenario():
        gateway = build_gateway(Settings(CONFIG, tmp_path, 0))
        same = await renew(gateway, CONFIG)
        assert same.servers == gateway.servers
        assert same.routing == gateway.routing
        renewed = await renew(gateway, other)
        assert set(renewed.servers) == {"lab", "new", "demo"}
        assert renewed.servers["lab"] is not gateway.servers["lab"]
        line = renewed.routing.turnstiles["lab"]
        assert line is not gateway.routing.turnstiles["lab"]
        assert renewed.routing.health is gateway.routing.health
        assert renewed.servers["demo"] is gateway.servers["demo"]
        assert renewed.config == other
        assert gateway.config == CONFIG
        for name in ("store", "directory", "pulse", "settler", "vault", "calibration"):
            assert getattr(renewed, name) is getattr(gateway, name)
        await gateway.store.close(gateway.pulse.worker_id)

    asyncio.run(scenario())


def test_metrics_know_what_is_new_and_what_was_there(tmp_path):
    counted = '[server]\nmetrics_key = "of-the-scraper-s-own"\n' + TEXT
    before = parse_config(counted, {"LAB_KEY": "sk-secret"})
    after = parse_config(counted.replace("lab", "moved"), {"LAB_KEY": "sk-secret"})

    async def scenario():
        gateway = build_gateway(Settings(before, tmp_path, 0))
        gateway.observer.attempt_ended("req_1", "moved", None)
        renewed = await renew(gateway, after)
        for upstream in ("moved", "lab", "demo", "a-client-s"):
            renewed.observer.attempt_ended("req_1", upstream, None)
        text = (await renewed.scoreboard.text(0)).decode()
        await renewed.scoreboard.stop()
        await gateway.store.close(gateway.pulse.worker_id)
        return dict(re.findall(r'upstream_attempts_total{.*upstream="(.*?)".* (.*)', text))

    figures = asyncio.run(scenario())
    assert figures == {"(other)": "2.0", "moved": "1.0", "lab": "1.0", "demo": "1.0"}


def test_new_prices_are_stored_before_they_are_used(tmp_path):
    dearer = parse_config(TEXT.replace("output = 2", "output = 3"), {"LAB_KEY": "sk-secret"})

    async def scenario():
        gateway = build_gateway(Settings(CONFIG, tmp_path, 0))
        renewed = await renew(gateway, dearer)
        version = renewed.prices["d"].version
        assert version != gateway.prices["d"].version
        await gateway.store.close(gateway.pulse.worker_id)
        return version

    version = asyncio.run(scenario())
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        assert version in {row[0] for row in database.execute("SELECT version FROM price_versions")}
