"""Checks of lab 04, the arithmetic transformer; importing the package registers them all."""

from finqa_lab.course.checks.arithmetic import carrying, counting, writing

__all__ = ["carrying", "counting", "writing"]
