"""Generators: decoder features to a distribution over the next token."""
