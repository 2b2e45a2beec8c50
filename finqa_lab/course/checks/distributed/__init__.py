"""Checks of lab 08, distributed fine-tuning; importing the package registers them all."""

from finqa_lab.course.checks.distributed import paying, sharing, summing, timing

__all__ = ["paying", "sharing", "summing", "timing"]
