"""Search: one decoding path for validation, evaluation and translation."""
