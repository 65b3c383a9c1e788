"""Training data written by a trained run: sequence-level distillation, back-translation, data diversification."""
