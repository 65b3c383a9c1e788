"""Scores of plain, detokenised text, each with the signature that makes it comparable."""

from seq2seq.metrics.base import Metric, Score
from seq2seq.metrics.significance import Comparison, bootstrap, compare

__all__ = ["Comparison", "Metric", "Score", "bootstrap", "compare"]
