"""CPU of looking at a prompt before it is sent: features, estimate, one lesson.

    PYTHONPATH=src python bench/counting.py

Prints microseconds. The whole of it is paid by every request; the lesson only where the estimate
was off by more than a hundredth.
"""

import base64
import time
from collections.abc import Callable

import msgspec

from tollbridge.translate.calibration import Calibration
from tollbridge.translate.prompt_features import read_features

ROUNDS = 200


def microseconds(what: str, call: Callable[[], object], rounds: int = ROUNDS) -> None:
    best = min(_once(call, rounds) for _ in range(3))
    print(f"{what:44} {best / 1e3:10.1f} us")


def _once(call: Callable[[], object], rounds: int) -> float:
    begin = time.process_time_ns()
    for _ in range(rounds):
        call()
    return (time.process_time_ns() - begin) / rounds


def body(text: str, image_bytes: int = 0) -> bytes:
    parts: list[object] = [{"type": "text", "text": text}]
    if image_bytes:
        data = base64.b64encode(b"\xff\xd8\xff\xe0\x00\x10" + b"\x80" * image_bytes).decode()
        source = {"type": "base64", "media_type": "image/jpeg", "data": data}
        parts.append({"type": "image", "source": source})
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": parts}]})


def main() -> None:
    code = 'def f(x: int) -> str:\n    return f"{x:>10}"  # a line of code\n'
    for what, sent in (
        ("features, 200 bytes", body("Hello there. " * 10)),
        ("features, 48 kB of code", body(code * 700)),
        ("features, 48 kB of Chinese", body("多语言模型的网关。" * 1_800)),
        ("features, 1 MB of code", body(code * 15_000)),
        ("features, 4 MB image", body("What is this?", 3_000_000)),
    ):
        microseconds(what, lambda sent=sent: read_features(sent))
    calibration = Calibration()
    prompt = read_features(body(code * 700))
    microseconds("estimate", lambda: calibration.estimate("m", prompt), 2_000)
    reported = [10_000, 15_000]

    def lesson() -> None:
        reported.reverse()
        calibration.learn("m", prompt, reported[0])

    microseconds("a lesson", lesson, 2_000)


if __name__ == "__main__":
    main()
