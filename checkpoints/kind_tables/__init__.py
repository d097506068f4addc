"""Tables of the kinds of weight files that load, one module per backbone."""
