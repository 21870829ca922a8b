"""Estimates that learn: how many tokens each kind of text has, for each model.

A Kalman filter per model whose state is the tokens per character of each kind and the tokens that a
chat template adds to every prompt. It is fed with what upstreams report, measures errors relative
to the prompt, starts from what is true of most vocabularies, and never leaves wide bounds, so that
an upstream that reports nonsense does little harm. It is deterministic, lives in one worker and
costs microseconds; nothing is charged by it where the upstream reports.
"""

from typing import NamedTuple

from tollbridge.translate.prompt_features import Features
from tollbridge.units import MODELS_MAX


class Kind(NamedTuple):
    """Tokens per character: expected at first, how far off that may be, and the bounds."""

    expected: float
    deviation: float
    least: float
    most: float


KINDS = (
    Kind(0.22, 0.05, 0.08, 0.6),  # letters
    Kind(0.45, 0.12, 0.05, 1.2),  # marks
    Kind(0.75, 0.25, 0.2, 2.0),  # wide
    Kind(0.60, 0.30, 0.1, 2.0),  # other
    Kind(4.0, 10.0, -60.0, 2_000.0),  # tokens for each prompt
)
NOISE = 0.03**2
"""How far prompts of one model scatter about the best weights, as a share of their length."""
DRIFT = 0.002
"""How much certainty each lesson loses, so that a model that was exchanged is learned anew."""
CLOSE_ENOUGH = 0.01
"""Errors from which nothing is learned, and no time is spent."""
ABSURD = 6.0
"""A report that differs from the first guess by this factor counts something else."""


class _Filter:
    """The weights of one model and how sure they are."""

    __slots__ = ("covariance", "weights")

    def __init__(self) -> None:
        self.weights = [kind.expected for kind in KINDS]
        self.covariance = [
            [kind.deviation**2 if row == column else 0.0 for column in range(len(KINDS))]
            for row, kind in enumerate(KINDS)
        ]

    def learn(self, shares: list[float]) -> None:
        """One prompt; `shares` are its characters of each kind for each token reported."""
        error = 1.0 - _dot(self.weights, shares)
        if abs(error) < CLOSE_ENOUGH:
            return
        covariance = self.covariance
        for row, kind in enumerate(KINDS):
            variance = covariance[row][row] + DRIFT * kind.deviation**2
            covariance[row][row] = min(variance, kind.deviation**2)
        spread = [_dot(row, shares) for row in covariance]
        total = _dot(spread, shares) + NOISE
        for row, kind in enumerate(KINDS):
            gain = spread[row] / total
            weight = self.weights[row] + gain * error
            self.weights[row] = min(max(weight, kind.least), kind.most)
            covariance[row] = [
                value - gain * other for value, other in zip(covariance[row], spread, strict=True)
            ]


_FIRST = _Filter()


class Calibration:
    """The filters of all models; see the module."""

    def __init__(self) -> None:
        self._filters: dict[str, _Filter] = {}

    def estimate(self, model: str, features: Features) -> int:
        """Expected tokens of a prompt; at least one."""
        return max(round(_expected(self._filters.get(model, _FIRST), features)) + features.flat, 1)

    def learn(self, model: str, features: Features, reported: int, estimate: int = 0) -> None:
        """An upstream reported so many tokens for a prompt, of which `estimate` were expected.

        Nothing is learned from a prompt with images, whose share of the report nobody knows.
        """
        if reported <= 0 or features.flat or abs(reported - estimate) < CLOSE_ENOUGH * reported:
            return
        guess = max(_expected(_FIRST, features), 1.0)
        if not guess / ABSURD < reported < guess * ABSURD:
            return
        found = self._filters.get(model)
        if found is None:
            if len(self._filters) >= MODELS_MAX:
                self._filters.clear()
            found = self._filters[model] = _Filter()
        amounts = (features.letters, features.marks, features.wide, features.other, 1)
        found.learn([amount / reported for amount in amounts])


UNTAUGHT = Calibration()
"""For where nothing is learned."""


def bound(features: Features, estimate: int) -> int:
    """Tokens that a hold must cover: never below the estimate and a quarter of it."""
    return max(features.bound, estimate * 5 // 4)


def _expected(of: _Filter, features: Features) -> float:
    letters, marks, wide, other, prompt = of.weights
    amount = letters * features.letters + marks * features.marks + prompt
    if features.wide or features.other:
        amount += wide * features.wide + other * features.other
    return amount


def _dot(left: list[float], right: list[float]) -> float:
    return sum([a * b for a, b in zip(left, right, strict=True)])
