"""The one exception that the command line shows as a sentence instead of a traceback."""


class CourseError(Exception):
    """Something the reader can mend: the message says what is wrong, where, and how to mend it.

    The command line prints the message and exits with status 2. Library code raises it for bad files, bad
    parameters and bad input; a programming mistake keeps its ordinary exception and its traceback.

    >>> raise CourseError("labs/profiles/smoke.yml has no lab '99_none'; known labs: 01_tokenizers")
    Traceback (most recent call last):
    ...
    finqa_lab.errors.CourseError: labs/profiles/smoke.yml has no lab '99_none'; known labs: 01_tokenizers
    """
