"""Serving: paged blocks, a scheduler, an engine, structured output, an HTTP server, and its measurement."""
