"""Errors, the log and atomic files: a leaf that every package may import."""
