"""Checks of lab 07, four-bit storage and file formats; importing the package registers them all."""

from finqa_lab.course.checks.qlora import blocks, layouts, paying, tables

__all__ = ["blocks", "layouts", "paying", "tables"]
