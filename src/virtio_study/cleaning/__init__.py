"""Cleaning: which rows may be analysed, and why the others may not; nothing is ever dropped."""
