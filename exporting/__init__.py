"""Export of a trained net: one module per format, and the graph and table that they share."""
