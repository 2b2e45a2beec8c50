"""What holds of every interactive part: named controls, described pictures, and an answer that follows its controls."""

from importlib import import_module

import ipywidgets
import pytest
from bs4 import BeautifulSoup

from finqa_lab.course import widgets
from finqa_lab.course.figures import alt_problem

MOVES = {
    "cache_memory": ("sequences at once", 32),
    "tuning_memory": ("rank", 64),
    "capacity": ("instances", 4),
    "retrieval": ("table rows as", "plain"),
    "tokenizers": ("text", "operating income of 98765"),
    "attention_map": ("head", 3),
}
"""A control of each widget, and another value for it."""
BAD = {"retrieval": "or your own", "tokenizers": "text", "attention_map": "text, then return"}
"""Text fields, which can hold nothing; the number fields of the others keep to their bounds."""
NAMED = (
    ipywidgets.BoundedIntText,
    ipywidgets.BoundedFloatText,
    ipywidgets.Dropdown,
    ipywidgets.Checkbox,
    ipywidgets.Text,
)
"""Controls whose input is tied to its label; the handle of a slider is not."""


@pytest.fixture(scope="module")
def panels():
    made = {}
    return lambda name: made.setdefault(name, import_module(f"finqa_lab.course.widgets.{name}").widget())


def control(panel, label):
    (found,) = [child for child in panel.children if getattr(child, "description", None) == label]
    return found


def test_all_modules_are_listed():
    folder = set(MOVES)
    assert set(widgets.NAMES) == folder


@pytest.mark.parametrize("name", widgets.NAMES)
def test_the_still_picture_has_caption_and_alternative_text(name):
    drawing = widgets.still(name)
    page = BeautifulSoup(drawing.markup(), "html.parser")
    (image,) = page.find_all("img")
    assert alt_problem(image["alt"]) == "" and image["alt"] == drawing.alt
    assert page.find("figcaption").text == drawing.caption
    assert any(sign.isdigit() for sign in drawing.alt), "the alternative text has values"


@pytest.mark.parametrize("name", widgets.NAMES)
def test_every_control_has_a_label_that_is_tied_to_it(panels, name):
    *controls, answer = panels(name).children
    labels = [one.description for one in controls]
    assert len(set(labels)) == len(labels) >= 3 and all(labels)
    assert all(isinstance(one, NAMED) for one in controls)
    assert isinstance(answer, ipywidgets.HTML)


@pytest.mark.parametrize("name", widgets.NAMES)
def test_the_answer_follows_a_control_and_comes_back_with_it(panels, name):
    panel = panels(name)
    label, value = MOVES[name]
    moved, answer = control(panel, label), panel.children[-1]
    before, first = moved.value, answer.value
    assert first.count("<figure") == 1 and "Not possible" not in first
    moved.value = value
    assert answer.value != first and answer.value.count("<figure") == 1
    moved.value = before
    assert answer.value == first


@pytest.mark.parametrize("name", BAD)
def test_an_empty_text_is_one_sentence_and_the_widget_goes_on(panels, name):
    panel = panels(name)
    field, answer = control(panel, BAD[name]), panel.children[-1]
    before = field.value
    field.value = "   "
    said = BeautifulSoup(answer.value, "html.parser")
    assert said.find("p")["role"] == "alert" and "empty" in said.text or "no word" in said.text
    assert "Traceback" not in said.text and "<figure" not in answer.value
    field.value = before
    assert "<figure" in answer.value


def test_a_number_outside_its_bounds_is_brought_inside(panels):
    panel = panels("capacity")
    field = control(panel, "seconds a request")
    before = field.value
    field.value = -3
    assert field.value == field.min and "<figure" in panel.children[-1].value
    field.value = before
