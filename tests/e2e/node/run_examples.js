// Runs documentation examples with one version of one SDK. Standard input: {"alias",
// "jobs": [{"name", "file", "base_url", "key", "model"}]}; standard output: {name: outcome}.
// An example is run as it stands: only base URL, key and model are replaced, and `main();` is
// awaited so that its end is known.
const fs = require("fs");
const util = require("util");

const AsyncFunction = (async () => {}).constructor;

async function run(sdk, job) {
  const out = { stdout: "", stderr: "" };
  const write = (stream) => (...words) => (out[stream] += util.format(...words) + "\n");
  const source = fs
    .readFileSync(job.file, "utf8")
    .replaceAll("<YOUR_CLOUDBASE_API_KEY>", job.key)
    .replaceAll("https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase", job.base_url)
    .replaceAll('"hy3-preview"', JSON.stringify(job.model))
    .replace(/^main\(\);$/m, "await main();");
  const example = new AsyncFunction("require", "console", "process", source);
  try {
    await example(
      () => sdk,
      { log: write("stdout"), error: write("stderr") },
      { stdout: { write: (text) => (out.stdout += text) } },
    );
  } catch (error) {
    out.uncaught = String(error.stack);
  }
  return [job.name, out];
}

async function main() {
  const { alias, jobs } = JSON.parse(fs.readFileSync(0, "utf8"));
  const sdk = require(alias);
  const outcomes = [];
  for (const job of jobs) outcomes.push(await run(sdk, job));
  process.stdout.write(JSON.stringify(Object.fromEntries(outcomes)));
}

main();
