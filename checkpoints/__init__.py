"""Weights from elsewhere: what holds them, under which names, and how they come into a graph."""
