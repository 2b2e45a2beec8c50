"""A small decoder-only transformer in plain torch: shape, norm, attention, cache, decoding, checkpoints."""
