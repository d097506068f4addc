"""Errors, the log and atomic file writes: a leaf package that every other package may import."""
