"""The folder of a run: configuration, lock, checkpoints, the best checkpoint, watching a training."""
