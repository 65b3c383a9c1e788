"""What encoders and decoders share: embeddings, recurrent stacks, feed-forward and scaled dot-product blocks."""
