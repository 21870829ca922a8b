"""A program for the supervisor's tests: workers that say who they are.

Prints a line once all workers are ready. `/` answers with the worker's process id; `/stream` sends
it, and the end when the file named by the first argument is there. Modes (second argument): `slow`
starts once it is told to stop, `broken` cannot start, `deaf` does not answer when it is told to
reload; the third argument is the number of workers.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tollbridge.server.connection import Connection
from tollbridge.server.inbound import Request
from tollbridge.server.outbound import Answer
from tollbridge.server.site import Site
from tollbridge.server.supervisor import Post, supervise
from tollbridge.sources import clock

STEP_S = 0.01


def say(line: str) -> None:
    """In one write: other processes write to the same pipe."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main(go: Path, mode: str, workers: int, port: int) -> int:
    async def serve(request: Request, answer: Answer) -> None:
        answer.start(200, [])
        if request.path == "/stream":
            answer.write(b"%d\n" % os.getpid())
            while not go.exists():  # noqa: ASYNC110, ASYNC240 - a test polls
                await asyncio.sleep(STEP_S)
            answer.finish(b"end")
        else:
            answer.finish(b"%d" % os.getpid())

    async def reload(post: Post) -> None:
        while mode != "deaf":
            await post.reload.wait()
            post.reload.clear()
            post.answer(f"pid {os.getpid()}")

    async def work(post: Post) -> None:
        if mode == "broken":
            raise RuntimeError("this worker cannot start")
        say(f"starting {os.getpid()}")
        if mode == "slow":
            await post.stop.wait()
            say("told")
        site = Site(serve, clock, 1000)
        await site.listen(post.listening, lambda: Connection(site))
        post.ready()
        reloads = asyncio.ensure_future(reload(post))
        await post.stop.wait()
        reloads.cancel()
        site.refuse()
        while site.connections:  # noqa: ASYNC110 - a test polls
            await asyncio.sleep(STEP_S)
        await site.close()
        say(f"ended {os.getpid()}")

    return supervise(
        work,
        host="127.0.0.1",
        port=port,
        workers=workers,
        announce=lambda: say("ready"),
        rollout=Reloads(),
    )


class Reloads:
    """Refuses the first reload, and says what the workers answered to the others."""

    asked = 0

    def prepare(self) -> bool:
        self.asked += 1
        say(f"asked {self.asked}")
        return self.asked > 1

    def finish(self, answers: Mapping[int, str]) -> None:
        said = " ".join(f"{pid}:{answer.replace(' ', '_')}" for pid, answer in answers.items())
        say(f"answers {said}")

    def kill_after_s(self) -> float:
        return 20.0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
