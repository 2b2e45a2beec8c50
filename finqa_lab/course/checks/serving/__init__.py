"""Checks of lab 13, serving; importing the package registers them all."""

from finqa_lab.course.checks.serving import batching, loading, planning, streaming, structure

__all__ = ["batching", "loading", "planning", "streaming", "structure"]
