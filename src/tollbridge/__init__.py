"""Tollbridge: an AI gateway that bridges protocols and takes its toll in tokens."""
