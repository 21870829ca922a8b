import msgspec
import pytest

from tollbridge.dialect_config import DialectOverrides


def test_what_is_not_set_is_not_told():
    assert msgspec.to_builtins(DialectOverrides(says_stop=True)) == {"says_stop": True}


@pytest.mark.parametrize("members", [{"tool_name_max": 15}, {"thinking": "aloud"}, {"mood": 1}])
def test_a_value_that_no_server_has_is_refused(members: dict[str, object]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(members, DialectOverrides)
