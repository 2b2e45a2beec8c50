"""Checks of lab 10, retrieval-augmented generation; importing the package registers them all."""

from finqa_lab.course.checks.rag import answering, finding, measuring, mixing

__all__ = ["answering", "finding", "measuring", "mixing"]
