"""The rules of the ledger: pure functions over immutable values."""
