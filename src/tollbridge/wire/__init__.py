"""Vocabularies of the protocols: pure types, codecs and folds. No I/O."""
