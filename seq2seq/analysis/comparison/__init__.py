"""Runs of one budget side by side, as a page."""
