"""Errors, the log, atomic file writes, and text: a leaf that every other package may import."""
