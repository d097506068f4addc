"""Where a run executes: clones and their devices, processes, and the collectives between them."""
