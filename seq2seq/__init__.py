"""seq2seq: a trainer for encoder-attention-decoder models."""

__version__ = "0.1.0"
