"""The inspection of the built book, on small pages with one fault each; skipped where no browser is installed."""

import pytest

from finqa_lab.cli import main
from finqa_lab.course import browser, inspection
from finqa_lab.errors import CourseError

HEAD = (
    '<!DOCTYPE html><html lang="en"><head><title>A page</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"></head><body>'
)
SKIP = '<div id="pst-skip-link"><a href="#main" style="position: absolute; top: 0; left: 0">Skip to content</a></div>'
FAULTS = {
    "image-alt": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
    "color-contrast": '<p style="color: #bbb; background: white">Too pale to be read.</p>',
    "scrollable-region-focusable": '<pre style="width: 60px; overflow: auto"><code>a long line of code</code></pre>',
    "narrow": '<p style="width: 700px">A paragraph as wide as a laptop.</p>',
    "network": '<img alt="a picture" src="http://elsewhere.example.org/a.png">',
    "script": "<script>undefined_function()</script>",
}
needs_a_browser = pytest.mark.skipif(not browser.find(), reason="no Chromium or Chrome is installed")


def write(folder, name, body, skip=SKIP):
    (folder / "book").mkdir(exist_ok=True)
    text = f'{HEAD}{skip}<main id="main"><h1>A heading</h1><p>A line of text.</p>{body}</main></body></html>'
    (folder / "book" / f"{name}.html").write_text(text)


@needs_a_browser
def test_a_sound_page_has_no_findings_and_each_fault_is_found_by_its_rule(tmp_path, capsys):
    write(tmp_path, "sound", "")
    write(tmp_path, "keyboard", "", skip="<button>First</button>")
    for rule, body in FAULTS.items():
        write(tmp_path, rule, body)
    found = list(inspection.inspect(tmp_path, inspection.pages(tmp_path)))
    assert not [str(one) for one in found if one.page == "book/sound"]
    for rule in (*FAULTS, "keyboard"):
        assert rule in {one.rule for one in found if one.page == f"book/{rule}"}, [str(one) for one in found]
    assert main(["inspect", "book/sound", "--html", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "1 pages, 0 findings\n"


@needs_a_browser
def test_a_page_is_seen_at_the_width_that_was_asked_for(tmp_path):
    write(tmp_path, "sound", "")
    with browser.looking_at(tmp_path) as page:
        for width in (inspection.NARROW, inspection.WIDE):
            page.open("book/sound.html", width)
            assert page.evaluate("document.documentElement.clientWidth") == width
        with pytest.raises(CourseError, match="a script fails in the page: .*nothing is not defined"):
            page.evaluate("nothing.at_all")
        assert page.screenshot(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_browser_a_page_or_a_book_there_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="holds no built book; run `finqa-lab book` first"):
        inspection.pages(tmp_path)
    with pytest.raises(CourseError, match="has no page book/nowhere"):
        list(inspection.inspect(tmp_path, ["book/nowhere"]))
    write(tmp_path, "sound", "")
    monkeypatch.setattr(browser, "find", lambda: "")
    with pytest.raises(CourseError, match="no Chromium or Chrome is installed"):
        list(inspection.inspect(tmp_path, ["book/sound"]))


def test_what_is_accepted_names_its_reason_and_nothing_more():
    for one in inspection.ACCEPTED:
        assert len(one.why) > 30 and one.part
        assert inspection.Finding("book/index", one.rule, f"... {one.part} ...").accepted()
        assert not inspection.Finding("book/index", one.rule, "something of ours").accepted()
