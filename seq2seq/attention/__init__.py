"""Attention: one file a mechanism, one contract (base.py)."""
