"""Training: the loop, its objectives, validation and what a person sees of them."""
