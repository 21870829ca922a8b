"""The `tollbridge` command."""
