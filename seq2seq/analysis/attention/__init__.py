"""Where a trained run looks: maps, alignments, entropies, error rates."""
