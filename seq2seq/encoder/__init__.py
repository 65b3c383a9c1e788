"""Encoders: token ids to a memory that a decoder can attend to."""
