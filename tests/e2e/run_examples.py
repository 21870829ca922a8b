"""Run documentation examples with the SDK on this interpreter's path.

Standard input: `{"jobs": [{"name", "file", "base_url", "key", "model"}]}`; standard output:
`{name: {"stdout", "stderr", "uncaught"?}}`. An example is run as it stands: only base URL, key and
model are replaced. This file runs under every SDK version and imports nothing of the project.
"""

import contextlib
import io
import json
import sys
import traceback
from pathlib import Path


def run(job: dict[str, str]) -> dict[str, str]:
    source = (
        Path(job["file"])
        .read_text()
        .replace("<YOUR_CLOUDBASE_API_KEY>", job["key"])
        .replace("https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase", job["base_url"])
        .replace('"hy3-preview"', json.dumps(job["model"]))
    )
    stdout, stderr = io.StringIO(), io.StringIO()
    outcome = {}
    namespace: dict[str, object] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            exec(compile(source, job["file"], "exec"), namespace)
        except Exception:  # noqa: BLE001 - an example may fail in any way; the test tells how
            outcome["uncaught"] = traceback.format_exc()
    client = namespace.get("client")
    if client is not None:
        client.close()
    return {**outcome, "stdout": stdout.getvalue(), "stderr": stderr.getvalue()}


print(json.dumps({job["name"]: run(job) for job in json.load(sys.stdin)["jobs"]}))
