"""What is on disk, from pictures and annotations to batches. Knows nothing of nets or augmentation."""
