"""From cleaned rows to effects, validity checks and results."""
