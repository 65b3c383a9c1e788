"""Loss functions: pure mathematics, no models."""
