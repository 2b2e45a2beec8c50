"""A pure function with controls: move a control, read the text or see the drawing that the function returns.

The answer stands in an HTML widget. ``ipywidgets.interact`` would capture printed output in an Output widget, and a
notebook that is executed without a browser can then wait for ever for a cell that is done (nbclient issue 312).
"""

import html
from collections.abc import Callable

import ipywidgets

from finqa_lab.errors import CourseError


def explore(function: Callable, **controls: ipywidgets.Widget) -> ipywidgets.VBox:
    """The controls in a column, and below them what ``function`` returns for their values.

    Args:
        function: called with the controls' values by name; returns plain text, which may have several lines, or a
            :class:`~finqa_lab.course.drawings.Drawing`. A ``CourseError`` that it raises is shown as its sentence.
        controls: ipywidgets with a ``value``; each is labelled with its name where it has no description.

    Returns:
        A widget, to be the last line of a cell.

    >>> box = explore(lambda n: f"{n} squared is {n * n}", n=ipywidgets.IntSlider(3, 1, 9))
    >>> box.children[0].value = 4
    >>> box.children[-1].value
    '<pre>4 squared is 16</pre>'
    """
    answer = ipywidgets.HTML()

    def show(_change=None) -> None:
        try:
            found = function(**{name: control.value for name, control in controls.items()})
            answer.value = found.markup() if hasattr(found, "markup") else f"<pre>{html.escape(found)}</pre>"
        except CourseError as error:
            answer.value = f'<p role="alert"><strong>Not possible:</strong> {html.escape(str(error))}</p>'

    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.style.description_width = control.style.description_width or "10em"
        control.observe(show, names="value")
    show()
    return ipywidgets.VBox([*controls.values(), answer])
