const OpenAI = require("openai");
const client = new OpenAI({
  apiKey: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
async function main() {
  const stream = await client.chat.completions.create({
    model: "hy3-preview",
    messages: [{ role: "user", content: "Introduce yourself" }],
    stream: true
  });
  for await (const chunk of stream) {
    process.stdout.write(chunk.choices[0]?.delta?.content || "");
  }
}
main();
