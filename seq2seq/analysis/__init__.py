"""Looking at trained runs: evaluation, comparison, attention."""
