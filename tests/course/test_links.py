"""The checker of the built book's links, on small books that have one fault each."""

import pytest

from finqa_lab.course import audit, links

GOOD = '<h1 id="top">A</h1><a href="sub/b.html#part">b</a><a href="#top">up</a><a href="https://x.org/y">x</a>'
OTHER = '<h1>B</h1><span id="part"></span><a href="../a.html">a</a><img src="../p%20q.png">'


def book(folder, first=GOOD, second=OTHER, style="p { background: url('p q.png') }"):
    (folder / "sub").mkdir()
    (folder / "a.html").write_text(first)
    (folder / "sub" / "b.html").write_text(second)
    (folder / "p q.png").write_bytes(b"")
    (folder / "s.css").write_text(style)
    return folder


def test_a_sound_book_has_no_broken_link(tmp_path):
    assert links.problems(book(tmp_path)) == []


@pytest.mark.parametrize(
    "change, said",
    [
        ({"first": '<a href="c.html">c</a>'}, "a.html: the address c.html of a <a> is no file"),
        ({"first": '<a href="sub/b.html#nowhere">c</a>'}, "a.html: there is no place 'nowhere' in sub/b.html"),
        ({"first": '<a href="#nowhere">c</a>'}, "a.html: there is no place 'nowhere' in a.html"),
        ({"second": '<h1 id="part">B</h1><script src="x.js"></script>'}, "sub/b.html: the address x.js of a <script>"),
        ({"style": '@font-face { src: url("f.woff2?v=1") }'}, "s.css: the address f.woff2?v=1 is no file"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(tmp_path, change, said):
    (found,) = links.problems(book(tmp_path, **change))
    assert found.startswith(said)


@pytest.mark.parametrize(
    "markup",
    [
        "<style>@import url(https://x.org/a.css);</style>",
        '<p style="background: url(//x.org/a.png)">',
        '<object data="https://x.org/a.svg"></object>',
    ],
)
def test_what_a_style_would_load_from_elsewhere_is_found(markup):
    (found,) = audit.network_problems(markup)
    assert "x.org/a." in found and "from the network" in found
