"""Adapting a model: storage in four bits, low-rank adapters."""
