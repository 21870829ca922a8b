const OpenAI = require("openai");
const client = new OpenAI({
  apiKey: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
try {
  const completion = await client.chat.completions.create({
    model: "hy3-preview",
    messages: [{ role: "user", content: "Hello" }]
  });
  console.log(completion.choices[0].message.content);
} catch (error) {
  if (error instanceof OpenAI.APIError) {
    console.error("API Error:", error.status, error.message);
  } else {
    throw error;
  }
}
