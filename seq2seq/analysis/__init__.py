"""Looking at a trained model: scores, translations, comparisons."""
