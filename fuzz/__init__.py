"""Fuzzing of every decoder: one module per decoder, its invariant in the first line."""
