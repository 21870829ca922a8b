"""Which models there are, and which upstreams serve each of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tollbridge.config import DEMO_UPSTREAM, Config, Protocol, TargetConfig
from tollbridge.dialect_config import DialectOverrides, SystemMessages
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import Tokens

OPERATOR_GROUP = "cloudbase"
"""The group whose models the operator deploys. No other group's name begins with it."""

NAME_CHARS_MAX = 100
"""How much of an unknown name an error repeats."""


class Target(NamedTuple):
    """One upstream, the model's name there, and how it is spoken to."""

    upstream: str
    model: str
    protocol: Protocol
    dialect: str
    system_messages: SystemMessages | None = None
    """The operator's choice for this model; None: as the dialect has it."""
    avoid: ErrorCode | None = None
    """The refusal that this target answered with, and that a second attempt at it avoids."""
    overrides: DialectOverrides | None = None
    """What this server does otherwise than its dialect."""
    rank: int = 0
    """Lower ones are tried first; targets of one rank share the requests."""
    weight: float = 1.0
    """Of those requests, in proportion to the others of its rank."""


class Model(NamedTuple):
    """What a client may name."""

    name: str
    display_name: str
    targets: tuple[Target, ...]
    """By rank."""
    context_window: Tokens
    output_limit: Tokens
    shares: bool = False
    """Whether targets of one rank share the requests."""
    affinity: bool = True
    """Whether a session keeps to one of them."""
    own: bool = False
    """Of an environment's own upstream: no pack pays for it."""
    hedge_ms: int | None = None
    """After so long without the head of an answer a second target is asked, too; None: never."""


class Catalog:
    """The operator's models by name. Immutable; a reload makes a new one."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = dict(models)

    @classmethod
    def of(cls, config: Config) -> "Catalog":
        """The models of a checked configuration."""
        models = {}
        for name, model in config.models.items():
            targets = []
            for rank, target in _ranked(model.targets):
                upstream = config.upstreams.get(target.upstream)
                targets.append(
                    Target(
                        target.upstream,
                        target.model or name,
                        upstream.protocol if upstream else "messages",
                        upstream.dialect if upstream else DEMO_UPSTREAM,
                        model.system_messages,
                        overrides=upstream.dialect_overrides if upstream else None,
                        rank=rank,
                        weight=target.weight or 1.0,
                    )
                )
            models[name] = Model(
                name,
                model.display_name or name,
                tuple(targets),
                Tokens(model.context_window),
                Tokens(model.output_limit),
                shares=len({target.rank for target in targets}) < len(targets),
                affinity=model.affinity,
                hedge_ms=model.hedge_ms,
            )
        return cls(models)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def names(self) -> list[str]:
        """All names, in the order of the file."""
        return list(self._models)

    def resolve(self, group: str, name: str, models_on: frozenset[str]) -> Model:
        """The model that an environment means, if it may use it.

        Raises:
            GatewayError: GROUP_UNKNOWN, MODEL_UNKNOWN (naming the models that are on) or
                MODEL_DISABLED.
        """
        self.check_group(group)
        model = self._models.get(name)
        if model is None:
            raise GatewayError(
                ErrorCode.MODEL_UNKNOWN,
                f"model: there is no model {name[:NAME_CHARS_MAX]!r}; {self._on(models_on)}.",
                field="model",
            )
        if name not in models_on:
            raise GatewayError(
                ErrorCode.MODEL_DISABLED,
                f"model: {name!r} is switched off in this environment; {self._on(models_on)}.",
                field="model",
            )
        return model

    def check_group(self, group: str) -> None:
        """Raise `GatewayError` GROUP_UNKNOWN unless this is the operator's group."""
        if is_own(group):
            raise GatewayError(
                ErrorCode.GROUP_UNKNOWN,
                f"There is no model group {group[:NAME_CHARS_MAX]!r}; the operator's group is"
                f" {OPERATOR_GROUP!r}.",
            )

    def _on(self, models_on: frozenset[str]) -> str:
        names = [name for name in self._models if name in models_on]
        return "switched on here: " + ", ".join(names) if names else "no model is switched on here"


def _ranked(targets: Sequence[TargetConfig]) -> Iterator[tuple[int, TargetConfig]]:
    """By priority, then in the order of the file; neighbours with a weight have one rank."""
    rank, before = 0, None
    for target in sorted(targets, key=lambda target: target.priority):
        if before is not None:
            weighted = before.weight is not None and target.weight is not None
            rank += not (weighted and before.priority == target.priority)
        yield rank, target
        before = target


def is_own(group: str) -> bool:
    """Whether a group can only be an environment's own."""
    return group != OPERATOR_GROUP and group.lower() != OPERATOR_GROUP
