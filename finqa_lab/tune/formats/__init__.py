"""The same weights in the layouts of other programs: what converts, what must be refused, what passes in silence."""
