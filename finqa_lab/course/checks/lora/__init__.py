"""Checks of lab 06, LoRA; importing the package registers them all."""

from finqa_lab.course.checks.lora import adapting, counting, driving, masking, reading, rows

__all__ = ["adapting", "counting", "driving", "masking", "reading", "rows"]
