import msgspec
import pytest

from tollbridge.translate.client_tools import client_tool


@pytest.mark.parametrize(
    ("tool_type", "members"),
    [
        ("bash_20250124", {"command", "restart"}),
        ("text_editor_20250728", {"command", "path", "old_str", "new_str", "view_range"}),
        ("memory_20250818", {"command", "path", "old_path", "new_path"}),
    ],
)
def test_tools_of_the_client_have_a_schema(tool_type: str, members: set[str]):
    found = client_tool(tool_type)
    assert found is not None
    description, schema = found
    assert description
    assert members <= set(msgspec.json.decode(schema)["properties"])


@pytest.mark.parametrize("tool_type", ["web_search_20260101", "computer_20250124", "bash", "x"])
def test_others_have_none_unless_only_the_date_is_missing(tool_type: str):
    assert (client_tool(tool_type) is not None) == (tool_type == "bash")
