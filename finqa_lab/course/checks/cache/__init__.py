"""Checks of lab 02, the key/value cache; importing the package registers them all."""

from finqa_lab.course.checks.cache import attending, caching, paying

__all__ = ["attending", "caching", "paying"]
