"""The checks of each subject, with their catalogues of wrong answers; the framework is `finqa_lab.course.checking`."""
