"""What a lab notebook imports from the course: six verbs.

``record`` a metric, ``check`` an exercise, show a ``figure`` made on ``axes``, ``predict`` before measuring,
``explore`` a function with sliders.
The machinery behind the command line (parameters, runner, release, book) lives in the modules of this folder and
is imported only when used.
"""

from importlib import import_module

_HOME = {
    "record": "metrics",
    "check": "checking",
    "figure": "figures",
    "axes": "figures",
    "predict": "predictions",
    "explore": "exploring",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    # Lazy, so that `finqa-lab --help` does not import matplotlib.
    if name in _HOME:
        return getattr(import_module(f"finqa_lab.course.{_HOME[name]}"), name)
    raise AttributeError(f"module 'finqa_lab.course' has no attribute {name!r}")
