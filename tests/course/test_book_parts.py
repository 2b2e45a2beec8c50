"""The parts of the book builder that need no Sphinx."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from finqa_lab.course import audit, book, settings, vendor
from finqa_lab.course.figures import alt_problem, axes, figure
from finqa_lab.errors import CourseError
from tests.course import toy

DESCRIPTION = "Line plot falling from 3.2 at step 0 to 0.4 at step 900."


@pytest.mark.parametrize(
    "markup, said",
    [
        ('<script src="https://cdn.example.org/x.js"></script>', "from the network"),
        ('<link rel="stylesheet" href="//cdn.example.org/x.css">', "from the network"),
        ('<article><h1>A</h1><img src="a.png"></article>', "too short"),
        ('<article><h1>A</h1><img src="a.png" alt="../_images/4f2a9c.png"></article>', "is a file name"),
        ("<article><h1>A</h1><table><thead><tr><th></th></tr></thead></table></article>", "empty cell in its header"),
        ("<article><h1>A</h1><h1>B</h1></article>", "2 level-one headings"),
        ("<article><h1>A</h1><h3>B</h3></article>", "skips from heading level 1 to 3"),
    ],
)
def test_the_audit_notices(markup, said):
    assert any(said in problem for problem in audit.page_problems(markup))


def test_the_audit_accepts_a_sound_page():
    head = '<link rel="canonical" href="https://x.org">'
    page = f'{head}<article><h1>A</h1><h2>B</h2><img src="a" alt="{DESCRIPTION}"></article>'
    assert audit.page_problems(page) == []


def test_the_audit_counts_pages(tmp_path):
    for name in ("index", "a", "extra"):
        (tmp_path / f"{name}.html").write_text("<article><h1>A</h1></article>")
    found = audit.problems(tmp_path, ["a", "b"])
    assert found == ["page b is missing", "page extra is not in the table of contents"]


def test_figures_demand_a_caption_and_a_description(capsys):
    for caption, alt, said in [
        ("", DESCRIPTION, "caption is empty"),
        ("Loss.", "", "too short"),
        ("Loss.", "plot.png, the plot that is shown above and below", "file name"),
        (DESCRIPTION, DESCRIPTION, "repeats the caption"),
    ]:
        with pytest.raises(ValueError, match=said):
            figure(axes()[0], caption=caption, alt=alt)


def test_a_figure_is_html_with_caption_and_escaped_alt(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    fig, ax = axes()
    ax.plot([1, 2], [2, 1])
    figure(fig, caption="Loss <per> step.", alt=DESCRIPTION + ' "quoted"')
    markup = shown[0]["text/html"]
    assert "Loss &lt;per&gt; step." in markup and "&quot;quoted&quot;" in markup and "data:image/png;base64," in markup
    assert alt_problem(DESCRIPTION) == ""


def test_a_chapter_can_include_each_figure_of_a_lab(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    fig, _ = axes()
    figure(fig, caption="Loss over steps.", alt=DESCRIPTION)
    display = new_output("display_data", data=shown[0])
    table = new_output("display_data", data={"text/html": "<table></table>"})
    cells = [new_code_cell("", id="plain"), new_code_cell("", id="drawn", outputs=[table, display])]
    assert book.figures_of(new_notebook(cells=cells)) == {"drawn": shown[0]["text/html"]}


def test_pages_of_a_table_of_contents(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "format: jb-book\nroot: book/index\nparts:\n"
        "  - caption: A\n    chapters:\n      - file: a/b\n      - file: c.md\n"
    )
    assert book.toc_pages(toc) == ["book/index", "a/b", "c"]


@pytest.mark.parametrize("instructor", [False, True])
def test_a_page_joins_the_outputs_of_the_run_with_the_edition_s_sources(instructor):
    import nbformat

    solution = toy.graded_notebook()
    executed = toy.graded_notebook()
    executed.cells.insert(2, nbformat.v4.new_code_cell("steps = 3", id="injected"))
    executed.cells[4].outputs = [nbformat.v4.new_output("stream", text="fine\n")]
    page = book._page(executed, solution, instructor)
    text = "\n".join(cell.source for cell in page.cells)
    assert ("x + x" in text) is instructor and ("double(21)" in text) is instructor
    assert "injected" not in [cell.id for cell in page.cells]
    assert page.cells[3].outputs[0]["text"] == "fine\n"


def test_a_lab_that_was_not_executed_is_one_sentence(toy_course, tmp_path):
    toy_course(l01_toy=toy.graded_notebook())
    with pytest.raises(CourseError, match="lab 01_toy has not been executed .*run `finqa-lab run 01_toy` first"):
        book._executed(tmp_path / "none.ipynb", "01_toy")


def test_without_a_repository_there_is_no_button_at_all():
    assert settings.Launch(colab=True, binder=True, jupyterhub="https://hub.example.org").config() == {}
    config = settings.Launch("https://git.example.org/c/", binder=False).config()
    assert config["repository"]["url"] == "https://git.example.org/c"
    assert set(config["launch_buttons"]) == {"notebook_interface", "colab_url"}


@pytest.mark.parametrize(
    "text, said",
    [("launch: {repo: x}", "has the fields"), ("launch: {repository: x}", "full https"), ("[", "cannot be used")],
)
def test_broken_settings_are_one_sentence(toy_course, text, said):
    folder = toy_course()
    (folder / "course.yml").write_text(text)
    with pytest.raises(CourseError, match=said):
        settings.launch()


def test_the_vendored_scripts_are_the_recorded_ones():
    assert vendor.problems() == []


def test_an_altered_or_missing_script_is_noticed(tmp_path, monkeypatch):
    import shutil

    shutil.copytree(vendor.folder().parent, tmp_path / "book")
    monkeypatch.setenv("FINQA_LAB_COURSE", str(tmp_path))
    script = tmp_path / "book" / "vendor" / "widgets" / "require.js"
    script.write_text("alert(1)")
    (tmp_path / "book" / "vendor" / "mathjax" / "LICENSE").unlink()
    found = "\n".join(vendor.problems())
    assert "require.js is not the recorded file" in found and "LICENSE is missing" in found
