"""Training: the loop, its plan, validation and checkpoints."""
