"""A program for the supervisor's tests: workers that say who they are.

Prints a line once all workers are ready. `/` answers with the worker's process id; `/stream` sends
it, and the end when the file named by the first argument is there. Modes (second argument): `slow`
starts once it is told to stop, `broken` cannot start; the third argument is the number of workers.
"""

import asyncio
import os
import sys
from pathlib import Path

from tollbridge.bootstrap import clock
from tollbridge.server.connection import Connection
from tollbridge.server.inbound import Request
from tollbridge.server.outbound import Answer
from tollbridge.server.site import Site
from tollbridge.server.supervisor import Post, supervise

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
        await post.stop.wait()
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
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
