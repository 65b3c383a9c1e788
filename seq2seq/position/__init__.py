"""Positions: how a model that looks at all tokens at once knows their order."""
