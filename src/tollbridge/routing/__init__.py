"""Which upstream serves a model, and what to try next: pure decisions."""
