"""The command line: checked as a whole, composed, launched."""
