"""Harder arithmetic through the same training loop: each module is one task and one lesson.

``signed``: a result that may be negative. ``division``: quotient and remainder. ``lengths``: longer numbers than
trained on. ``oversampling``: more of the hard cases in every batch. Multiplication lives in
:mod:`finqa_lab.arithmetic.multiplication`. ``python benchmarks/arithmetic_extensions.py`` measures all of them.
"""
