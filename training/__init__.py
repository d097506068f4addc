"""Training: options, the training graph, and the loop around the session."""
