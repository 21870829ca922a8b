"""Groups that environments bring: upstreams of their own, with their own keys.

The operator's switches and prices do not apply to them: the environment pays the vendor itself.
"""

import re

import msgspec

from tollbridge.config import OWN_PREFIX, Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import NAME_CHARS_MAX, OPERATOR_GROUP, Model, Target
from tollbridge.units import MODEL_CHARS_MAX, EnvId, Millis, Tokens

ANY_MODEL = "*"
"""Listed by a group that passes every name on."""

OUTPUT_LIMIT_DEFAULT = Tokens(32_000)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED = frozenset({"receipts", "models"})
"""Stand where a group would in a path."""
_UNKNOWN_WINDOW = Tokens(10_000_000)
"""The model's server knows its window, and says so."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream of an environment, as it is stored."""

    env_id: EnvId
    name: str
    base_url: str
    protocol: Protocol
    dialect: str
    models: tuple[str, ...] = (ANY_MODEL,)
    """By name; with `*` among them any name is passed on."""
    output_limit: Tokens = OUTPUT_LIMIT_DEFAULT
    """Asked of the upstream when a client names none and the protocol wants one."""
    secret: bytes = b""
    """Its API key as `access.cipher` wrote it; empty: it needs none."""
    hint: str = ""
    """How the API key ends."""
    created_at: Millis

    def __repr__(self) -> str:
        return f"Group(env_id={self.env_id!r}, name={self.name!r}, ...)"

    @property
    def upstream(self) -> str:
        """Its name in records, headers and logs: no other upstream's of any environment."""
        return f"{OWN_PREFIX}{self.env_id}/{self.name}"

    def resolve(self, model: str) -> Model:
        """The model that a client names. The ledger knows it under the group's name too.

        Raises:
            GatewayError: MODEL_UNKNOWN, naming those that are listed, or what a name can be.
        """
        if model not in self.models and ANY_MODEL not in self.models:
            raise GatewayError(
                ErrorCode.MODEL_UNKNOWN,
                f"model: group {self.name!r} lists no model {model[:NAME_CHARS_MAX]!r}; it has: "
                + (", ".join(self.models) or "none"),
                field="model",
            )
        if len(model) > MODEL_CHARS_MAX or not model.isprintable():
            # Names go into the ledger, and PostgreSQL cannot keep every character.
            raise GatewayError(
                ErrorCode.MODEL_UNKNOWN,
                f"model: the name {model[:NAME_CHARS_MAX]!r} is no model's; a name has at most"
                f" {MODEL_CHARS_MAX} characters, and all of them can be printed.",
                field="model",
            )
        return self._model(f"{OWN_PREFIX}{self.name}/{model}", model)

    def listed(self) -> list[Model]:
        """The models that it names, under the names that clients use."""
        return [self._model(model, model) for model in self.models if model != ANY_MODEL]

    def _model(self, name: str, model: str) -> Model:
        target = Target(self.upstream, model, self.protocol, self.dialect)
        return Model(name, model, (target,), _UNKNOWN_WINDOW, self.output_limit, own=True)


def group_unknown(name: str) -> GatewayError:
    """No such group in the environment of the key."""
    return GatewayError(
        ErrorCode.GROUP_UNKNOWN,
        f"This environment has no model group {name[:NAME_CHARS_MAX]!r}; the operator's group is"
        f" {OPERATOR_GROUP!r}.",
    )


def name_problem(name: str) -> str:
    """Why a group cannot have this name; empty: it can."""
    if name.lower().startswith(OPERATOR_GROUP):
        return f"{OPERATOR_GROUP!r} begins the names of the operator's groups; choose another"
    if name in _RESERVED:
        return f"{name!r} has a meaning of its own in addresses; choose another"
    if not _NAME.fullmatch(name):
        return (
            "a group's name has at most 64 lower-case letters, digits, dots, underscores and"
            " hyphens, and begins with a letter or digit"
        )
    return ""
