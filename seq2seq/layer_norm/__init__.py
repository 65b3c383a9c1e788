"""Layer normalisations: the scale of a Transformer's states, at each position."""
