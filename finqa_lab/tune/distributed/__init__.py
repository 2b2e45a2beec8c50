"""One training on several processes: averaged gradients, sharded parameters, checkpoints in parts, and the cost."""
