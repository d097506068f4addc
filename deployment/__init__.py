"""Where and how it runs: clones and devices, the session, the run folder, the loop. Knows nothing of boxes."""
