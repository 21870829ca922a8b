from tollbridge.storage import memory
from tollbridge.storage.memory import Memory
from tollbridge.units import EnvId


def test_it_is_full_with_too_many_environments() -> None:
    known = Memory()
    known.generations = {EnvId(str(number)): 1 for number in range(memory.ENVIRONMENTS_MAX)}
    assert not known.is_full
    known.generations[EnvId("one more")] = 1
    assert known.is_full
