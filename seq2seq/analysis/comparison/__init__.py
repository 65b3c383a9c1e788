"""Comparison of runs with the same budget, as a page."""
