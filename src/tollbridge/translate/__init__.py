"""Translation between vocabularies: pure, table-shaped, told in both directions."""
