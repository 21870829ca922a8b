from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.calibration import KINDS, UNTAUGHT, Calibration, bound
from tollbridge.translate.prompt_features import Features, read_features
from tollbridge.units import MODELS_MAX

PROSE = Features(4_000, 600, 0, 0, 0, 3_000)
CODE = Features(3_000, 2_000, 0, 0, 0, 3_000)
CHINESE = Features(50, 80, 2_000, 0, 0, 4_000)


def true_tokens(features: Features) -> int:
    """A vocabulary that differs from the first guess in every kind."""
    letters, marks, wide, other, *_ = features
    return round(0.28 * letters + 0.31 * marks + 1.1 * wide + 0.9 * other + 40)


def off(calibration: Calibration, features: Features) -> float:
    return abs(calibration.estimate("m", features) / true_tokens(features) - 1)


def test_a_dozen_prompts_of_three_kinds_teach_a_vocabulary():
    calibration = Calibration()
    kinds = (PROSE, CODE, CHINESE)
    assert max(off(calibration, kind) for kind in kinds) > 0.2
    for _ in range(4):
        for kind in kinds:
            calibration.learn("m", kind, true_tokens(kind))
    assert max(off(calibration, kind) for kind in kinds) < 0.04
    mixed = Features(2_000, 900, 500, 0, 0, 3_000)
    assert off(calibration, mixed) < 0.06


def test_one_kind_says_nothing_of_another():
    calibration = Calibration()
    before = calibration.estimate("m", CHINESE)
    for _ in range(50):
        calibration.learn("m", PROSE, true_tokens(PROSE))
    assert off(calibration, PROSE) < 0.02
    assert abs(calibration.estimate("m", CHINESE) / before - 1) < 0.15


def test_models_are_taught_apart():
    calibration = Calibration()
    calibration.learn("m", PROSE, 2_000)
    assert calibration.estimate("n", PROSE) == UNTAUGHT.estimate("n", PROSE)
    assert calibration.estimate("m", PROSE) > UNTAUGHT.estimate("m", PROSE)


def test_a_model_that_was_exchanged_is_learned_anew():
    calibration = Calibration()
    for _ in range(200):
        calibration.learn("m", PROSE, 1_000)
    for _ in range(30):
        calibration.learn("m", PROSE, 1_800)
    assert abs(calibration.estimate("m", PROSE) / 1_800 - 1) < 0.03


def test_nonsense_and_images_teach_nothing():
    calibration = Calibration()
    for reported in (0, -5, 1, 10**9):
        calibration.learn("m", PROSE, reported)
    calibration.learn("m", PROSE._replace(flat=1_600), 2_500)
    assert calibration.estimate("m", PROSE) == UNTAUGHT.estimate("m", PROSE)


def test_what_is_kept_is_bounded():
    calibration = Calibration()
    for number in range(MODELS_MAX + 5):
        calibration.learn(f"m{number}", PROSE, 2_000)
    assert len(calibration._filters) <= MODELS_MAX


counts = st.integers(0, 10**7)
features = st.builds(Features, counts, counts, counts, counts, st.just(0), counts)


@given(st.lists(st.tuples(features, st.integers(1, 10**8)), max_size=30))
def test_whatever_is_reported_weights_stay_in_bounds(lessons: list[tuple[Features, int]]):
    calibration, again = Calibration(), Calibration()
    for prompt, reported in lessons:
        calibration.learn("m", prompt, reported)
        again.learn("m", prompt, reported)
    estimate = calibration.estimate("m", PROSE)
    assert estimate == again.estimate("m", PROSE)
    for found in calibration._filters.values():
        assert all(k.least <= w <= k.most for k, w in zip(KINDS, found.weights, strict=True))
        assert all(found.covariance[at][at] > 0 for at in range(len(KINDS)))
    assert bound(PROSE, estimate) >= max(PROSE.bound, estimate)


@given(st.binary(max_size=300))
def test_a_taught_bound_never_falls_below_the_untaught_one(body: bytes):
    calibration = Calibration()
    for _ in range(5):
        calibration.learn("m", PROSE, 600)
    prompt = read_features(body)
    taught, untaught = calibration.estimate("m", prompt), UNTAUGHT.estimate("m", prompt)
    assert bound(prompt, max(taught, untaught)) >= bound(prompt, untaught) >= prompt.bound > 0
