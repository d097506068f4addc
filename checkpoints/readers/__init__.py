"""Files of weights: one module per container, each with `read_arrays(path)`."""
