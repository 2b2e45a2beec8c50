"""Where keys and values are kept: one interface, and one module for each way of keeping them."""
