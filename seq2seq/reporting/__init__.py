"""What a run reports while it trains: the progress bar, figures, sample outputs."""
