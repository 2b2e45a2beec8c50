"""The library's rooms look down only; on toy packages, each way to break that is found and named."""

import pytest

from finqa_lab.course import architecture
from finqa_lab.course.architecture import cycle, graph, imports, problems, reduced
from finqa_lab.course.book import ROOMS
from finqa_lab.course.figures import alt_problem

FOUND = imports()
FLOORS = {"shop": (0, 0), "kitchen": (1, 0), "cellar": (2, 0), "tools": (3, 0)}


@pytest.fixture
def toy_package(tmp_path):
    """``toy_package({"kitchen/oven.py": "import toy.cellar"})`` writes a sound package ``toy`` with these changes."""

    def write(changes):
        sources = {
            "__init__.py": '"""A toy."""',
            "shop/__init__.py": '"""Sells."""',
            "shop/till.py": "from toy.kitchen import oven\nfrom toy import tools",
            "kitchen/__init__.py": '"""Cooks."""',
            "kitchen/oven.py": "import json\nimport toy.cellar.wine\nfrom toy.kitchen import pan",
            "kitchen/pan.py": "",
            "cellar/__init__.py": '"""Stores | cools."""',
            "cellar/wine.py": "from toy.tools import hammer",
            "tools.py": '"""Hammers."""\nhammer = 1',
        }
        for name, text in (sources | changes).items():
            path = tmp_path / "toy" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "toy"

    return write


def test_the_library_looks_down_only():
    assert problems() == []
    assert cycle(graph(FOUND)) == []


def test_every_room_is_found_and_has_a_page_of_the_reference():
    found = architecture.rooms()
    assert set(found) == set(architecture.PLACES)
    assert set(ROOMS) == set(found) - {"cli", "errors", "files", "markdown"}


def test_nobody_but_the_command_line_sees_the_course():
    assert {one.source for one in FOUND if one.target == "course"} == {"cli"}
    assert not [one for one in FOUND if one.target == "cli"]


def test_a_sound_toy_has_no_problems_and_its_graph_is_what_its_files_say(toy_package):
    package = toy_package({})
    assert problems(package, FLOORS) == []
    assert graph(imports(package)) == {"shop": {"kitchen", "tools"}, "kitchen": {"cellar"}, "cellar": {"tools"}}


@pytest.mark.parametrize(
    "source",
    [
        "\nfrom toy.shop import till",
        "\nimport toy.shop.till",
        "\nfrom toy import shop",
        "\nfrom ..shop import till",
        "\nfrom .. import shop",
        "def later():\n    import toy.shop",
        "if True:\n    import toy.shop as s, json",
    ],
)
def test_a_planted_import_that_looks_up_is_found_with_its_file_and_line(toy_package, source):
    found = problems(toy_package({"cellar/rack.py": source}), FLOORS)
    assert found[0] == "toy/cellar/rack.py, line 2: 'cellar' imports 'shop', which is not below it"
    assert found[1].startswith("rooms import each other in a circle: ") and len(found) == 2


def test_an_import_between_rooms_of_one_floor_is_found(toy_package):
    package = toy_package({"pantry/__init__.py": "from toy import cellar"})
    found = problems(package, FLOORS | {"pantry": FLOORS["cellar"]})
    assert found == ["toy/pantry/__init__.py, line 1: 'pantry' imports 'cellar', which is not below it"]


def test_a_room_without_a_floor_is_found(toy_package):
    (found,) = problems(toy_package({"attic/__init__.py": "import toy.cellar"}), FLOORS)
    assert found.startswith("the room 'attic' has no place")


def test_a_circle_is_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})[0] in "abc"


def test_the_reduced_graph_keeps_who_can_reach_whom():
    edges = graph(FOUND)

    def reach(graph_of, room):
        return set().union(*({target} | reach(graph_of, target) for target in graph_of.get(room, ())))

    fewer = reduced(edges)
    assert sum(map(len, fewer.values())) < sum(map(len, edges.values()))
    assert all(reach(fewer, room) == reach(edges, room) for room in edges)


def test_the_table_has_a_row_for_each_room_and_no_column_too_many(toy_package):
    text = architecture.table(toy_package({}))
    assert "| `kitchen` | Cooks. | `cellar` | 3 | 4 |" in text and "| `tools` | Hammers. | nothing | 1 | 2 |" in text
    assert all(line.replace("\\|", "").count("|") == 6 for line in text.splitlines())
    rows = architecture.table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows][:3] == ["cli", "course", "cloud"]
    assert all(". |" in row for row in rows), "each room says in a sentence what it holds"


def test_the_figure_is_the_same_every_time_and_says_in_words_what_it_shows():
    first = architecture.figure_markup()
    assert first == architecture.figure_markup()
    alt = architecture.alt_text(reduced(graph(FOUND)))
    assert alt_problem(alt) == "" and f'alt="{alt}"' in first
    assert all(room in alt for room in architecture.PLACES)


def test_no_arrow_runs_through_a_box():
    """A line under a box would read as two arrows; a room that moves must not make one."""
    for room, targets in reduced(graph(FOUND)).items():
        for target in targets:
            (top, left), (bottom, right) = architecture.PLACES[room], architecture.PLACES[target]
            for other, (floor, column) in architecture.PLACES.items():
                if top < floor < bottom:
                    across = left + (right - left) * (floor - top) / (bottom - top)
                    assert abs(across - column) > 0.3, f"{room} to {target} runs through {other}"
