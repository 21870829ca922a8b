"""`GET /models`: one object that both vendors' SDKs read (protocol notes B.1)."""

from collections.abc import Sequence

import msgspec

from tollbridge.routing.catalog import Model

CREATED_S = 1_767_225_600
"""2026-01-01: deployed models have no birthday, but both SDKs want one."""
CREATED_AT = "2026-01-01T00:00:00Z"


def model_object(model: Model) -> dict[str, str | int]:
    """A model with the members of both protocols."""
    return {
        "id": model.name,
        "object": "model",
        "type": "model",
        "display_name": model.display_name,
        "created": CREATED_S,
        "created_at": CREATED_AT,
        "owned_by": "tollbridge",
        "lifecycle": "active",
        "max_input_tokens": model.context_window,
        "max_tokens": model.output_limit,
    }


def model_list(models: Sequence[Model]) -> bytes:
    """The page of all models, with the members of both protocols' pages."""
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [model_object(model) for model in models],
            "has_more": False,
            "first_id": models[0].name if models else None,
            "last_id": models[-1].name if models else None,
        }
    )
