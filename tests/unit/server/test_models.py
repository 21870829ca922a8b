import json

from anthropic.types import ModelInfo
from openai.types import Model as OpenAIModel

from tollbridge.routing.catalog import Model
from tollbridge.server.models import model_list, model_object
from tollbridge.units import Tokens

MODELS = [
    Model("org/one", "One", (), Tokens(1000), Tokens(100)),
    Model("two", "two", (), Tokens(2000), Tokens(200)),
]


def test_one_object_for_both_vendors_sdks():
    told = json.loads(json.dumps(model_object(MODELS[0])))
    anthropic = ModelInfo.model_validate(told)
    assert (anthropic.id, anthropic.display_name, anthropic.type) == ("org/one", "One", "model")
    openai = OpenAIModel.model_validate(told)
    assert (openai.id, openai.object, openai.owned_by) == ("org/one", "model", "tollbridge")
    assert openai.created == int(anthropic.created_at.timestamp())
    assert (told["max_input_tokens"], told["max_tokens"]) == (1000, 100)


def test_a_page_has_the_members_of_both():
    page = json.loads(model_list(MODELS))
    assert [model["id"] for model in page["data"]] == ["org/one", "two"]
    assert page["object"] == "list"
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "org/one", "two")


def test_an_empty_page():
    page = json.loads(model_list([]))
    assert page["data"] == []
    assert (page["first_id"], page["last_id"]) == (None, None)
