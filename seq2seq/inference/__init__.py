"""Inference with a trained model: translation, scoring, attention weights. Evaluation and validation use it."""
