"""A transformer that adds and subtracts: the problems, how they are written, training, and exhaustive evaluation."""
