"""Controls that have a name for a screen reader and can be used by keyboard: number fields, lists, boxes, text.

No sliders. In ipywidgets 8.1 the handle of a slider has no accessible name, whatever its description says: the label
beside it belongs to nothing. The ``input`` of a number field, a list, a box or a text field is tied to its label, and
the arrow keys change its value.
"""

from collections.abc import Sequence

import ipywidgets

_STYLE = {"description_width": "12em"}


def whole_number(label: str, value: int, low: int, high: int, step: int = 1) -> ipywidgets.BoundedIntText:
    """A field for a whole number from ``low`` to ``high``; the arrow keys change it by ``step``."""
    return ipywidgets.BoundedIntText(
        value=value, min=low, max=high, step=step, description=label, style=_STYLE, layout={"width": "22em"}
    )


def number(label: str, value: float, low: float, high: float, step: float) -> ipywidgets.BoundedFloatText:
    """A field for a number from ``low`` to ``high``; the arrow keys change it by ``step``."""
    return ipywidgets.BoundedFloatText(
        value=value, min=low, max=high, step=step, description=label, style=_STYLE, layout={"width": "22em"}
    )


def choice(label: str, options: Sequence, value=None, width: str = "28em") -> ipywidgets.Dropdown:
    """A list to choose from; options are values, or pairs of text and value; the first one is chosen by default."""
    first = options[0][1] if isinstance(options[0], tuple) else options[0]
    return ipywidgets.Dropdown(
        options=options,
        value=first if value is None else value,
        description=label,
        style=_STYLE,
        layout={"width": width},
    )


def box(label: str, value: bool) -> ipywidgets.Checkbox:
    """A box to tick."""
    return ipywidgets.Checkbox(value=value, description=label, style=_STYLE, layout={"width": "28em"})


def text_field(label: str, value: str, at_once: bool = False) -> ipywidgets.Text:
    """A line of text; with ``at_once`` each key counts, otherwise the return key."""
    return ipywidgets.Text(
        value=value, description=label, continuous_update=at_once, style=_STYLE, layout={"width": "98%"}
    )
