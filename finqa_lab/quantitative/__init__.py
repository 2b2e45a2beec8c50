"""Synthetic questions of quantitative finance with exact answers: six tasks, their splits, and the scoring of replies.

The tasks on which the adaptation labs fine-tune a small model. The ground truth of a question is a program in the
language of FinQA with seven more operations (:mod:`finqa_lab.quantitative.dsl`). Therefore this package imports
``finqa_lab.finqa`` (program, parse, execute, intervals); nothing in ``finqa_lab.finqa`` imports this package.
"""
