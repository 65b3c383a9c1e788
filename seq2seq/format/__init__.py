"""Export formats: a trained model as other programs read it."""
