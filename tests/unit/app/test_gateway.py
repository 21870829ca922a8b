"""What every exchange shares is fixed when the worker starts."""

import dataclasses

import pytest
from tests.fakes.world import SEAL_KEY, in_world


@in_world()
async def test_it_does_not_change(world):
    with pytest.raises(dataclasses.FrozenInstanceError):
        world.gateway.store = None


@in_world()
async def test_every_model_has_a_price_and_every_target_a_server(world):
    gateway = world.gateway
    assert set(gateway.prices) == set(gateway.catalog.names())
    assert {t.upstream for model in gateway.catalog for t in model.targets} <= set(gateway.servers)


@in_world()
async def test_its_repr_holds_no_secret(world):
    assert SEAL_KEY.decode() not in repr(world.gateway)
