"""The explorer recomputes on every change, shows text as text, and captures nothing."""

import ipywidgets

from finqa_lab.course import explore


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
