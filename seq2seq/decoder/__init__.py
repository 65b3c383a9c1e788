"""Decoders: the memory and the tokens so far to features of the next token."""
