"""Checks of lab 02, the key/value cache; importing the package registers them all."""

from finqa_lab.course.checks.cache import attending, blocks, caching, paying, stepping

__all__ = ["attending", "blocks", "caching", "paying", "stepping"]
