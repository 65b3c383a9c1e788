"""Feed-forward networks: the part of a Transformer's layer that reads each position by itself."""
