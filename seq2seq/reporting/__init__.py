"""What a run reports while it trains: recorders of its metrics, the progress bar, figures."""
