from tollbridge.app import accounts, clients, observation, ports
from tollbridge.app.accounts import KeyInfo, KeyRecord
from tollbridge.ledger.model import UNLIMITED
from tollbridge.units import EnvId, KeyId, Millis


def test_the_ports_export_every_value() -> None:
    own = {
        name
        for module in (accounts, clients, observation)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    assert set(ports.__all__) == own


def test_keys_are_without_limits_at_first() -> None:
    names = {"key_id": KeyId("k"), "env_id": EnvId("e"), "name": ""}
    times = {"expires_at": None, "revoked_at": None}
    info = KeyInfo(**names, **times, hint="", created_at=Millis(0))
    assert (info.limits, info.budget) == (UNLIMITED, 0)
    record = KeyRecord(**names, **times, generation=1, models_on=frozenset())
    assert (record.limits, record.env_limits, record.budgeted) == (UNLIMITED, UNLIMITED, False)
