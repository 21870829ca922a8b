import json

import pytest
from anthropic.types import ModelInfo
from openai.types import Model as OpenAIModel
from tests.unit.server.conftest import BASE, CHAT, MESSAGES, Play, World, check_refusal, prompt

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


@pytest.mark.parametrize("path", ["/models", "/v1/models", f"{BASE}/models", f"{BASE}//v1/models/"])
def test_models_of_both_vendors_in_one_object(play: Play, path: str):
    async def scenario(world: World) -> None:
        answer = await world.ask(path, query="limit=1000&beta=true")
        assert answer.status == 200
        listed = answer.json()
        assert [model["id"] for model in listed["data"]] == ["demo", "vendor/chat 工"]
        assert (listed["object"], listed["has_more"]) == ("list", False)
        assert (listed["first_id"], listed["last_id"]) == ("demo", "vendor/chat 工")

    play(scenario)


@pytest.mark.parametrize(
    "path",
    ["/models/vendor/chat 工", "/v1/models/vendor/chat 工/", f"{BASE}/models/vendor//chat 工"],
)
def test_one_model_whose_id_holds_a_slash(play: Play, path: str):
    # An ASGI server hands over paths that are percent-decoded.
    async def scenario(world: World) -> None:
        answer = await world.ask(path)
        assert answer.status == 200, answer.body
        assert answer.json()["id"] == "vendor/chat 工"
        assert answer.json()["max_input_tokens"] == 1000

    play(scenario)


def test_a_model_that_is_not_there_is_404(play: Play):
    async def scenario(world: World) -> None:
        for name in ("dark", "no-such", "x/y"):
            answer = await world.ask(f"/v1/models/{name}")
            assert answer.status == 404
            assert name in answer.json()["message"]

    play(scenario)


@pytest.mark.parametrize(("path", "dialect"), [(MESSAGES, "messages"), (CHAT, "chat")])
def test_models_that_cannot_be_used_are_404_naming_those_that_can(
    play: Play, path: str, dialect: str
):
    async def scenario(world: World) -> None:
        answer = await world.ask(path, prompt(model="no-such"))
        message = check_refusal(answer, 404, "AI_MODEL_NOT_SUPPORTED", dialect=dialect)
        assert "'no-such'" in message
        assert "demo, vendor/chat 工" in message
        assert "dark" not in message
        answer = await world.ask(path, prompt(model="dark"))
        message = check_refusal(answer, 404, "AI_MODEL_DISABLED", dialect=dialect)
        assert "switched off" in message
        answer = await world.ask(path.replace("cloudbase", "another"), prompt())
        message = check_refusal(answer, 404, "AI_MODEL_NOT_FOUND", dialect=dialect)
        assert "'another'" in message

    play(scenario)
