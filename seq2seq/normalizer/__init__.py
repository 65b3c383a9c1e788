"""Normalizers: attention scores to weights."""
