"""Writes what really goes out into the golden files: `python -m tests.golden.rewrite [name...]`.

A person then reads the difference (`git diff tests/golden`): a file that records a bug is worse
than none. No test and no build runs this.
"""

import sys
from pathlib import Path

from tests.playbook import Playbook

FOLDER = Path(__file__).parent


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("*/*.txt")):
        if names and not any(name in str(path) for name in names):
            continue
        text = path.read_text()
        played = Playbook(text).play()
        if played != text:
            path.write_text(played)
            print(path.relative_to(FOLDER))


if __name__ == "__main__":
    main(sys.argv[1:])
