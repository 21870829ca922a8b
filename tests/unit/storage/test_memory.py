from tollbridge.storage import memory
from tollbridge.storage.memory import Memory
from tollbridge.units import EnvId, KeyId


def test_it_is_full_with_too_many_environments_or_limited_keys() -> None:
    known = Memory()
    known.generations = {EnvId(str(number)): 1 for number in range(memory.ENTRIES_MAX)}
    assert not known.is_full
    known.windows[EnvId("0"), KeyId("one more")] = None
    assert known.is_full
