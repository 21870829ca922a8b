"""llama.cpp's own HTTP server in a process of its own: prints one line of JSON once it listens.

`python -m tests.fakes.llama_server DIRECTORY CONTEXT`: the model is written to the directory. It
ends when its standard input does.
"""

import json
import sys
from pathlib import Path

from tests.fakes.tiny_gguf import write_tiny_gguf

SLOTS = 4
"""Requests that the engine runs at once; each has the whole context."""


def main() -> None:
    """Serve until standard input ends."""
    import xllamacpp

    path = Path(sys.argv[1]) / "tiny.gguf"
    context = int(sys.argv[2])
    write_tiny_gguf(path, context=context)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {"tiny"}
    params.n_ctx = context * SLOTS
    params.n_parallel = SLOTS
    params.kv_unified = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.use_jinja = True
    params.warmup = False
    params.sampling.seed = 7  # the same answer to the same question
    params.endpoint_slots = params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    print(json.dumps({"root_url": server.listening_address}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
