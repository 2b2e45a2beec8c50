"""Checks of lab 01, one module a group of exercises; importing this package registers them all."""

from finqa_lab.course.checks.tokenizers import bpe, encoding, serving, unigram

__all__ = ["bpe", "encoding", "serving", "unigram"]
