"""Self-attention: attention between the positions of a sequence."""
