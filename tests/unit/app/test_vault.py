import asyncio

from tollbridge.app.vault import ENTRY_OVERHEAD_BYTES, MemoryVault
from tollbridge.translate.bridge import Kept
from tollbridge.units import VAULT_MS, EnvId, Millis

ACME, OTHER = EnvId("acme"), EnvId("other")
NOW = Millis(1_000)


def keep(vault: MemoryVault, call_id: str, env: EnvId = ACME, size: int = 0, now=NOW) -> None:
    asyncio.run(vault.keep(env, Kept(call_id, b"x" * size), now))


def recall(vault: MemoryVault, *call_ids: str, env: EnvId = ACME, now=NOW) -> set[str]:
    return set(asyncio.run(vault.recall(env, call_ids, now)))


def test_an_environment_sees_its_own_only():
    vault = MemoryVault()
    keep(vault, "a")
    assert vault.may_hold(ACME)
    assert not vault.may_hold(OTHER)
    assert recall(vault, "a", "b") == {"a"}
    assert recall(vault, "a", env=OTHER) == set()


def test_it_is_kept_for_an_hour():
    vault = MemoryVault()
    keep(vault, "a")
    assert recall(vault, "a", now=Millis(NOW + VAULT_MS - 1)) == {"a"}
    assert recall(vault, "a", now=Millis(NOW + VAULT_MS)) == set()
    assert vault.bytes == 0
    assert not vault.may_hold(ACME)


def test_the_oldest_make_room_in_an_environment_and_in_the_worker():
    size = 1_000
    each = size + ENTRY_OVERHEAD_BYTES
    vault = MemoryVault(worker_bytes_max=3 * each, environment_bytes_max=2 * each)
    for call_id in "abc":
        keep(vault, call_id, size=size)
    assert recall(vault, *"abc") == {"b", "c"}
    keep(vault, "d", OTHER, size)
    keep(vault, "e", OTHER, size)
    assert recall(vault, *"abc") == {"c"}
    assert recall(vault, *"de", env=OTHER) == {"d", "e"}
    assert vault.bytes == 3 * each
    keep(vault, "f", size=10 * size)
    assert recall(vault, "f") == set()


def test_the_same_call_again_replaces():
    vault = MemoryVault()
    keep(vault, "a", size=10)
    keep(vault, "a", size=20)
    assert vault.bytes == 20 + ENTRY_OVERHEAD_BYTES
    (blocks,) = asyncio.run(vault.recall(ACME, ["a"], NOW)).values()
    assert len(blocks) == 20
