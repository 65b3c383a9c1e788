"""The scores of a run on a split of its data, compared with baselines."""
