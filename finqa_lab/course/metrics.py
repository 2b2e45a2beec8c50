"""Metrics: recorded in a notebook as a MIME bundle, collected from the executed file.

A metric travels inside the notebook's outputs, so it survives papermill, a kernel restart and a copy to another
machine; nothing depends on a side file.
"""

import math
import re

MIME = "application/vnd.finqa-lab.metric+json"
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def record(name: str, value: bool | int | float, unit: str = "") -> None:
    """Record one metric of this lab and print it.

    Args:
        name: snake_case, unique in the lab (recording it again replaces it).
        value: a finite number or a boolean. NumPy and torch scalars are converted.
        unit: what the number counts: "tokens/word", "problems", "s". Empty for a share or a ratio.

    Raises:
        ValueError: for a name that is not snake_case, or a value that is not one finite number.
    """
    if not _NAME.match(name):
        raise ValueError(f"metric name {name!r} must be snake_case: lower-case letters, digits and underscores")
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, bool | int | float):
        raise ValueError(f"metric {name!r} must be a number or a boolean, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"metric {name!r} is {value}; a metric must be finite")
    from IPython.display import display

    text = f"{name} = {format_value(value)}{' ' + unit if unit else ''}"
    display({MIME: {"name": name, "value": value, "unit": unit}, "text/plain": text}, raw=True)


def format_value(value: bool | int | float, digits: int = 4) -> str:
    """``digits`` significant figures for a float, separators for an integer: ``format_value(1500)`` is '1,500'."""
    if isinstance(value, bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def collect(notebook) -> dict[str, dict]:
    """All metrics of an executed notebook: ``{name: {"value": ..., "unit": ...}}`` in order of first recording.

    Args:
        notebook: an ``nbformat`` notebook node (any mapping with ``cells``).
    """
    found: dict[str, dict] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            bundle = output.get("data", {}).get(MIME)
            if bundle is not None:
                found[bundle["name"]] = {"value": bundle["value"], "unit": bundle.get("unit", "")}
    return found
