"""Where a run's numbers, texts and images go: metrics.jsonl, TensorBoard; several at the same time."""
