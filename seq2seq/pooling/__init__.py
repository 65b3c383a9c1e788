"""Pooling: a shorter memory, cheaper to attend to."""
