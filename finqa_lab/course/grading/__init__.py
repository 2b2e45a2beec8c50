"""Grading a folder of submissions: ``finqa-lab grade``.

One concept a module, in the order in which a submission passes through them: ``submissions`` finds the notebooks,
``rebuild`` makes the cells to run, ``sandbox`` runs them in an ``enclosure`` where a ``worker`` executes them over a
``trusted`` import state, ``verdicts`` turns what was reported into a grade, ``batch`` does so for many and resumes,
``feedback`` and ``exports`` write the results, ``autograder`` packs the same grader for Gradescope.
"""
