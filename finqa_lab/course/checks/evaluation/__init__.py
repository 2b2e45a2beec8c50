"""Checks of lab 11, evaluation; importing the package registers them all."""

from finqa_lab.course.checks.evaluation import counting, programs, scoring

__all__ = ["counting", "programs", "scoring"]
