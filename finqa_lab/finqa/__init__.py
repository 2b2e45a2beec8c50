"""FinQA: records, the program language, exact execution, equivalence of programs, and scoring."""
