"""A small supervised generator: from a question and its facts to programs, without a language model.

A program is a *skeleton* (its operations, references and constants, the arguments blanked) and a filling of the blanks
with numbers or row names that the facts state. A logistic regression scores the skeletons of the training set by the
words of the question (:mod:`~finqa_lab.finqa.generator.skeletons`); a small network chooses the arguments one after
another among the mentions (:mod:`~finqa_lab.finqa.generator.mentions`, :mod:`~finqa_lab.finqa.generator.slots`); a beam
search over both keeps what can be executed (:mod:`~finqa_lab.finqa.generator.model`).
"""
