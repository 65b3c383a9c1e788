"""A trained model at work: translating, scoring, looking at its attention. Evaluation and validation build on it."""
