"""`python -m fuzz [--seconds 30] [TARGET ...]`: coverage-guided where atheris is installed.

Each target runs in a process of its own. An input that breaks its invariant is written to
`fuzz/found/`; kept in `fuzz/regressions/<target>/`, the tests run it for good.
"""

import argparse
import importlib
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.mutation import INPUT_BYTES_MAX, mutated
from fuzz.target import Target

HERE = Path(__file__).parent
FOUND = HERE / "found"
NAMES = (
    "sse", "asks", "requests", "answers", "chat_to_messages", "messages_to_chat",
    "identity_streams", "gathered_completion", "paused_turns", "http_response", "image_headers",
    "text_frames", "scan",
)  # fmt: skip


def load(name: str) -> Target:
    """The target of a module of this folder."""
    target: Target = importlib.import_module(f"fuzz.{name}").TARGET
    return target


def mutate(target: Target, name: str, seconds: float) -> int:
    """Mutate the seeds for so long; gives the number of inputs."""
    entropy = random.Random(time.time_ns())
    seeds, inputs = list(target.seeds), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        data = mutated(entropy.choice(seeds), seeds, entropy)
        inputs += 1
        try:
            target.check(data)
        except BaseException:
            FOUND.mkdir(exist_ok=True)
            (FOUND / name).write_bytes(data)
            raise
    return inputs


def guided(name: str, seconds: int) -> None:
    """Let atheris find inputs that reach new code; never returns."""
    import atheris

    with atheris.instrument_imports(include=["tollbridge"]):
        target = load(name)

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        entropy = random.Random(seed)
        if entropy.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        return mutated(data, list(target.seeds), entropy)[:max_size]

    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=10"]
        options += [f"-artifact_prefix={FOUND / name}-", "-verbosity=0", "-print_final_stats=0"]
        atheris.Setup([name, *options, folder], target.check, custom_mutator=custom)
        atheris.Fuzz()


def main() -> int:
    """Run the targets one after the other; the status is 1 if one was broken."""
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--here", action="store_true", help="in this process")
    parser.add_argument("targets", nargs="*", default=NAMES, help=", ".join(NAMES))
    asked = parser.parse_args()
    with_coverage = importlib.util.find_spec("atheris") is not None
    if asked.here:
        (name,) = asked.targets
        if with_coverage:
            guided(name, asked.seconds)
        else:
            print(f"{name}: {mutate(load(name), name, asked.seconds)} inputs")
        return 0
    broken = []
    for name in asked.targets:
        print(f"{name}: {asked.seconds} s {'guided by coverage' if with_coverage else ''}")
        command = [sys.executable, "-m", "fuzz", "--here", "--seconds", str(asked.seconds), name]
        if subprocess.run(command, check=False).returncode:
            broken.append(name)
    if broken:
        print(f"broken: {', '.join(broken)}; the inputs are in {FOUND}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
