"""The import state that graded cells run over: the library as it was before the first cell of a submission.

A submission shares a Python process with its tests, so it can reassign ``check``, patch a function of the library, or
shadow a built-in. Before each graded cell the names, functions and classes noted here are put back, and the course's
own modules (``finqa_lab.course``) are imported anew from disk. This undoes careless and simple tampering. It is no
wall: code in the same process can find and change the grader itself.
"""

import builtins
import contextlib
import importlib
import sys
import types

# Modules of the standard library that the checks' verdicts pass through.
_STANDARD = ("builtins", "copy", "functools", "importlib", "inspect", "io", "itertools", "json", "math", "operator",
             "pkgutil", "random", "re", "signal", "textwrap", "types")  # fmt: skip
_COURSE = "finqa_lab.course"
_GRADING = "finqa_lab.course.grading"


def _fresh_each_time(name: str) -> bool:
    """Course modules hold the verbs and the checks; library types keep their identity, students' objects have them."""
    within = name == _COURSE or name.startswith(_COURSE + ".")
    return within and not (name == _GRADING or name.startswith(_GRADING + "."))


class TrustedState:
    """A note of module contents, taken before any submitted code runs.

    >>> import math
    >>> state = TrustedState()
    >>> math.floor = lambda x: 42
    >>> state.restore()
    >>> math.floor(1.5)
    1
    """

    def __init__(self):
        names = [name for name in sys.modules if name.partition(".")[0] == "finqa_lab" or name in _STANDARD]
        self._modules = {name: (sys.modules[name], dict(vars(sys.modules[name]))) for name in names}
        self._path = (list(sys.path), list(sys.meta_path), list(sys.path_hooks))
        self._functions, self._classes = [], []
        for name in names:
            if name.partition(".")[0] == "finqa_lab":
                for value in self._modules[name][1].values():
                    self._note(value, name)

    def _note(self, value, module: str) -> None:
        if getattr(value, "__module__", None) != module:
            return
        if isinstance(value, types.FunctionType):
            self._functions.append((value, value.__code__, value.__defaults__, value.__kwdefaults__))
        elif isinstance(value, type):
            self._classes.append((value, dict(vars(value))))
            for member in vars(value).values():
                if isinstance(member, types.FunctionType):
                    self._functions.append((member, member.__code__, member.__defaults__, member.__kwdefaults__))

    def restore(self) -> None:
        """Put everything noted back."""
        sys.settrace(None)
        sys.setprofile(None)
        for module, contents in self._modules.values():
            current = vars(module)
            for name, value in contents.items():
                if current.get(name) is not value:
                    current[name] = value
        for name, (module, _) in self._modules.items():
            sys.modules[name] = module
        sys.path[:], sys.meta_path[:], sys.path_hooks[:] = self._path
        for function, code, defaults, keywords in self._functions:
            if function.__code__ is not code:
                function.__code__ = code
            function.__defaults__, function.__kwdefaults__ = defaults, keywords
        for owner, contents in self._classes:
            for name, value in contents.items():
                if vars(owner).get(name) is not value and name not in ("__dict__", "__weakref__"):
                    type.__setattr__(owner, name, value)

    def names(self, imports: list[str], wanted: list[str]) -> dict:
        """What the source's import statements bind to ``wanted``, over the restored library.

        The course's modules are imported anew first, so ``check`` and its catalogue come from disk.
        """
        for name in [name for name in sys.modules if _fresh_each_time(name)]:
            del sys.modules[name]
        importlib.invalidate_caches()
        space: dict = {"__builtins__": builtins}
        for statement in imports:
            run_import(statement, space)
        course = importlib.import_module(_COURSE)
        verbs = {name: getattr(course, name) for name in course.__all__ if name in wanted}
        return {name: space[name] for name in wanted if name in space} | verbs


def run_import(statement: str, space: dict) -> None:
    """Run one import statement of the source in ``space``; an optional package that is not installed is skipped, and
    the cell that needs it says so when it runs."""
    with contextlib.suppress(ImportError):
        exec(statement, space)  # noqa: S102  the instructor's own statement
