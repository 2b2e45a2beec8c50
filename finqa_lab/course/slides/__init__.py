"""Slides for a chapter, made from the chapter's own Markdown, so that the two cannot disagree.

:mod:`~finqa_lab.course.slides.read` parses a page, :mod:`~finqa_lab.course.slides.split` cuts it into slides with
notes, :mod:`~finqa_lab.course.slides.deck` writes one HTML file that needs no network, and
:mod:`~finqa_lab.course.slides.measure` opens it in a browser to see that nothing runs over a slide's edge.
"""
