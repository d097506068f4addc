"""The folder of a run: configuration, lock, checkpoints, best checkpoint, watching, inference."""
