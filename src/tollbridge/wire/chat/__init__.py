"""The OpenAI Chat Completions vocabulary."""
