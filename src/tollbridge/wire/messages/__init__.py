"""The Anthropic Messages vocabulary."""
