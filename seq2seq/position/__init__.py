"""Positions: how a model without recurrence knows the order of tokens."""
