"""The explorer recomputes on every change, shows text as text, and captures nothing."""

import ipywidgets

from finqa_lab.course import axes, explore
from finqa_lab.course.drawings import Drawing, paragraph
from finqa_lab.errors import CourseError


def test_it_shows_what_the_function_returns_for_the_controls_values():
    def report(tokens: int, kind: str) -> str:
        return f"{tokens} <{kind}>\nnext"

    box = explore(report, tokens=ipywidgets.IntSlider(3, 1, 9), kind=ipywidgets.Dropdown(options=["a", "b"]))
    tokens, kind, answer = box.children
    assert (tokens.description, answer.value) == ("tokens", "<pre>3 &lt;a&gt;\nnext</pre>")
    tokens.value, kind.value = 7, "b"
    assert answer.value == "<pre>7 &lt;b&gt;\nnext</pre>"


def test_a_description_is_kept_and_a_name_is_made_readable():
    box = explore(lambda **values: "", new_tokens=ipywidgets.IntSlider(), b=ipywidgets.IntSlider(description="bytes"))
    assert [control.description for control in box.children[:2]] == ["new tokens", "bytes"]


def test_no_output_widget_is_used():
    """One of those makes an execution without a browser hang now and then."""
    box = explore(lambda n: "", n=ipywidgets.IntSlider())
    assert not any(isinstance(child, ipywidgets.Output) for child in box.children)


def test_an_error_for_users_is_one_sentence_and_no_traceback():
    def half(n: int) -> str:
        if n % 2:
            raise CourseError("3 <is> odd; give an even number")
        return str(n // 2)

    box = explore(half, n=ipywidgets.IntText(2))
    assert box.children[-1].value == "<pre>1</pre>"
    box.children[0].value = 3
    assert (
        "3 &lt;is&gt; odd; give an even number" in box.children[-1].value and 'role="alert"' in box.children[-1].value
    )
    box.children[0].value = 4
    assert box.children[-1].value == "<pre>2</pre>"


def test_a_drawing_is_shown_with_its_description():
    def draw(n: int) -> Drawing:
        fig, ax = axes()
        ax.plot([0, n])
        return Drawing(fig, "A line.", f"A straight line that rises from 0 to {n} in one step.", paragraph("a & b"))

    box = explore(draw, n=ipywidgets.IntText(2))
    assert box.children[-1].value.startswith("<p>a &amp; b</p><figure")
    box.children[0].value = 5
    assert "from 0 to 5 in one step" in box.children[-1].value


def test_a_width_of_labels_that_is_set_is_kept():
    set_here = ipywidgets.IntText(2, style={"description_width": "12em"})
    box = explore(lambda **values: "", a=set_here, b=ipywidgets.IntText(2))
    assert [control.style.description_width for control in box.children[:2]] == ["12em", "10em"]
