"""Text sources, their encoded cache, and the updates and batches cut from them."""
