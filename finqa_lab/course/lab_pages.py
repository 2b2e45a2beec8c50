"""What a lab's page in the book has around the notebook: where to open it, on what it runs, what it should have shown.

The student's notebook stays as it is; the book adds a cell before its first part and one behind its last. The words
are in ``book/labs.yml``, the numbers in ``tests/golden``, the addresses in ``course.yml``.
"""

from urllib.parse import quote, urlencode, urlsplit

import nbformat
import yaml

from finqa_lab import markdown
from finqa_lab.course import golden, labs, settings
from finqa_lab.course.metrics import format_value
from finqa_lab.errors import CourseError


def words() -> dict[str, dict]:
    """``book/labs.yml``: by lab, its ``hardware`` and the meaning of each metric that its page shows (``measured``).

    Raises:
        CourseError: when the file cannot be read, or is no mapping of mappings.
    """
    path = labs.root() / "book" / "labs.yml"
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {lab: {"hardware": entry["hardware"], "measured": entry["measured"]} for lab, entry in found.items()}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise CourseError(f"{path} cannot be used; each lab has 'hardware' and 'measured': {error}") from error


def launch_links(lab: str, launch: settings.Launch) -> list[tuple[str, str]]:
    """Name and address of each place that opens the lab; [] when the course names no repository.

    >>> from finqa_lab.course.settings import Launch
    >>> launch_links("06_lora", Launch("https://github.com/o/r", binder=False))
    [('Colab', 'https://colab.research.google.com/github/o/r/blob/main/labs/06_lora.ipynb')]
    >>> launch_links("06_lora", Launch())
    []
    """
    if not launch.repository:
        return []
    address, branch, path = launch.repository.rstrip("/"), launch.branch, f"labs/{lab}.ipynb"
    place = urlsplit(address)
    owner = place.path.strip("/").removesuffix(".git")
    found = []
    if launch.colab and place.netloc == "github.com":  # Colab opens notebooks of GitHub only
        found.append(("Colab", f"{settings.COLAB}/github/{owner}/blob/{quote(branch)}/{path}"))
    if launch.binder:
        kinds = {"github.com": f"gh/{owner}", "gitlab.com": f"gl/{quote(owner, safe='')}"}
        kind = kinds.get(place.netloc, f"git/{quote(address, safe='')}")
        found.append(("Binder", f"{settings.BINDER}/v2/{kind}/{quote(branch, safe='')}?urlpath=lab/tree/{path}"))
    if launch.jupyterhub:
        folder = owner.rpartition("/")[2]
        asked = {"repo": address, "branch": branch, "urlpath": f"lab/tree/{folder}/{path}"}
        hub = launch.jupyterhub.rstrip("/")
        found.append(("JupyterHub", f"{hub}/hub/user-redirect/git-pull?{urlencode(asked)}"))
    return found


def opening(lab: str, launch: settings.Launch, seconds: float | None = None) -> str:
    """Hardware, how long the notebook computes, and where to open it, as Markdown.

    Args:
        seconds: wall-clock time of the run that the page shows, when it is known.
    """
    hardware = words().get(lab, {}).get("hardware", "one CPU thread")
    text = f"**Hardware** {hardware[0].upper() + hardware[1:]}; no GPU, no network."
    if seconds:
        text += f" The run on this page took {_duration(seconds)}."
    text += f" **On your machine** `labs/{lab}.ipynb`, after {{doc}}`/book/start/setup`."
    links = launch_links(lab, launch)
    if links:
        text += " **Open in** " + ", ".join(f"[{name}]({address})" for name, address in links) + "."
    return text


def measured(lab: str) -> str:
    """The section that ends the page: the numbers to compare one's own with, as Markdown."""
    entries, meanings = golden.load(lab), words().get(lab, {}).get("measured", {})
    rows = []
    for name, meaning in meanings.items():
        if name not in entries:
            raise CourseError(f"book/labs.yml: lab {lab} has no metric '{name}'; its metrics are in {golden.path(lab)}")
        entry = entries[name]
        value = f"{format_value(entry['value'])} {entry['unit']}".strip()
        rows.append((meaning, f"`{name}`", value, golden.describe(entry)))
    if not rows:
        return ""
    table = markdown.table(("what it says", "metric", "expected:", "range"), rows)
    return (
        "## What you measured\n\n"
        "With the parameters as they stand (profile `smoke`), your run should show numbers in these ranges. *Expected* "
        "is the recorded run, seed 0 on a two-core AMD EPYC without a GPU; the range is what the tests hold, with room "
        f"for other machines.\n\n{table}\n"
        "{doc}`/book/reference/metrics` has all metrics of the lab, and why each range is as wide as it is."
    )


def framed(page: nbformat.NotebookNode, lab: str, seconds: float | None = None) -> nbformat.NotebookNode:
    """The page with both cells: the first below the cell that states objectives, the last at the very end."""
    first = next((at for at, cell in enumerate(page.cells) if cell.cell_type == "markdown"), 0)
    page.cells.insert(first + 1, _cell("book-opening", opening(lab, settings.launch(), seconds)))
    if text := measured(lab):
        page.cells.append(_cell("book-measured", text))
    return page


def _cell(name: str, text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=name)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"
