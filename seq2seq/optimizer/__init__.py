"""Building an optimizer from its part, and keeping its state by parameter name."""

from seq2seq.optimizer.build import build_optimizer, optimizer_problems, set_learning_rate
from seq2seq.optimizer.state import optimizer_tensors, restore_optimizer

__all__ = ["build_optimizer", "optimizer_problems", "optimizer_tensors", "restore_optimizer", "set_learning_rate"]
