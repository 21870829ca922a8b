"""Each fuzz target on its seeds, on what once broke it, and on a few hundred mutations."""

import random
from pathlib import Path

import pytest
from fuzz.__main__ import NAMES, load
from fuzz.mutation import mutated

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = 250


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_regressions(name: str):
    target = load(name)
    for data in target.seeds:
        target.check(data)
    for path in sorted((ROOT / "fuzz" / "regressions" / name).glob("*")):
        target.check(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_mutations(name: str):
    target = load(name)
    seeds = list(target.seeds)
    entropy = random.Random(name)
    for _ in range(MUTATIONS):
        target.check(mutated(entropy.choice(seeds), seeds, entropy))


def test_every_target_is_listed_and_says_its_invariant():
    rest = {"__init__", "__main__", "corpus", "mutation", "target"}
    files = {path.stem: path for path in (ROOT / "fuzz").glob("*.py")}
    assert set(files) - rest == set(NAMES)
    for name in NAMES:
        first = files[name].read_text().splitlines()[0]
        assert first.startswith('"""')
        assert first.endswith('."""')
