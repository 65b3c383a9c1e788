"""The composed model: encoder, attention, decoder and generator, wired by the builder."""
