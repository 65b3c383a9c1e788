"""Engines: what runs a trained model's search."""
