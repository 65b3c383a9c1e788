"""Self-attention: the positions of a sequence read each other."""
