"""Hugging Face model folders of MarianMT and Pegasus: what they hold in our names, without the transformers package."""
