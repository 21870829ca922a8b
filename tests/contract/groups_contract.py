"""What every store must do about environments' own upstreams; see `store_contract`."""

import pytest
from msgspec.structs import replace
from tests.contract.samples import ENV, admission, group, key, need, settlement
from tests.contract.store_contract import Check, World, closed, prepared

from tollbridge.app.ports import UnknownEnvironmentError
from tollbridge.config import OWN_PREFIX
from tollbridge.ledger.model import Hold, Refusal
from tollbridge.units import EnvId, Millis
from tollbridge.usage import Provenance

CHECKS: list[Check] = []
OTHER = EnvId("other")


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@check
async def a_group_is_found_with_the_generation(world: World) -> None:
    store = await prepared(world)
    await store.create_environment(OTHER, "", Millis(0))
    assert await store.find_group(ENV, "kimi") == (1, None)
    assert await store.find_group(EnvId("nobody"), "kimi") == (0, None)
    kimi = group("kimi", models=("k2", "k3"), secret=b"\0sealed\xff", hint="-end")
    assert await store.put_group(kimi)
    assert await store.find_group(ENV, "kimi") == (2, kimi)
    assert await store.find_group(OTHER, "kimi") == (1, None)
    await store.add_key(*key(1))
    assert await store.find_group(ENV, "kimi") == (3, kimi)
    await closed(world, store)


@check
async def a_group_is_replaced_only_if_told(world: World) -> None:
    store = await prepared(world)
    first = group("kimi", models=("a", "b"), secret=b"one")
    second = group("kimi", models=("b",), base_url="https://b.test", protocol="messages")
    assert await store.put_group(first)
    assert not await store.put_group(second)
    assert (await store.find_group(ENV, "kimi"))[1] == first
    assert await store.put_group(second, replace=True)
    assert (await store.find_group(ENV, "kimi"))[1] == second
    assert await store.put_group(replace(second, models=()), replace=True)
    assert (await store.find_group(ENV, "kimi"))[1] == replace(second, models=())
    await closed(world, store)


@check
async def groups_are_listed_and_removed(world: World) -> None:
    store = await prepared(world)
    await store.create_environment(OTHER, "", Millis(0))
    b, a, c = group("b", models=("y", "x")), group("a"), group("a", env_id=OTHER)
    for each in (b, a, c):
        await store.put_group(each)
    assert list(await store.groups(None)) == [a, replace(b, models=("x", "y")), c]
    assert list(await store.groups(OTHER)) == [c]
    before, _ = await store.find_group(ENV, "a")
    assert await store.remove_group(ENV, "a")
    assert await store.find_group(ENV, "a") == (before + 1, None)
    assert not await store.remove_group(ENV, "a")
    assert [each.name for each in await store.groups(None)] == ["b", "a"]
    for call in (
        store.groups(EnvId("nobody")),
        store.remove_group(EnvId("nobody"), "a"),
        store.put_group(group("a", env_id=EnvId("nobody"))),
    ):
        with pytest.raises(UnknownEnvironmentError):
            await call
    await closed(world, store)


@check
async def a_change_of_groups_makes_decisions_stale(world: World) -> None:
    store = await prepared(world, 100)
    await store.put_group(group("kimi"))
    assert await store.admit(admission("r1", need(), generation=1)) is Refusal.STALE
    assert isinstance(await store.admit(admission("r1", need(), generation=2)), Hold)
    await store.remove_group(ENV, "kimi")
    assert await store.admit(admission("r2", need(), generation=2)) is Refusal.STALE
    await closed(world, store)


@check
async def what_an_environment_pays_elsewhere_is_no_bill_of_the_operators(world: World) -> None:
    store = await prepared(world)
    free = need(0, 0)
    for name, upstream in (("r1", "hunyuan"), ("r2", f"{OWN_PREFIX}{ENV}/kimi")):
        assert isinstance(await store.admit(admission(name, free)), Hold)
        about = {"upstream": upstream, "provenance": Provenance.OWN}
        await store.settle(settlement(name, 0, **about))
    rows = await store.upstream_usage(Millis(0), Millis(10))
    assert [row.upstream for row in rows] == ["hunyuan"]
    report = await closed(world, store)
    assert report.exchanges == 2
