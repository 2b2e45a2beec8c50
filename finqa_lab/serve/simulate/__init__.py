"""A virtual clock for the engine: what a step costs on a machine, fitted to measured steps, and played on others."""
