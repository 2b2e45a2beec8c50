"""``course.yml``: what differs between one copy of the course and another."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from finqa_lab.course import labs
from finqa_lab.errors import CourseError

BINDER = "https://mybinder.org"
COLAB = "https://colab.research.google.com"


@dataclass(frozen=True)
class Launch:
    """The launch buttons. ``repository`` empty means none, whatever the other fields say."""

    repository: str = ""
    branch: str = "main"
    colab: bool = True
    binder: bool = True
    jupyterhub: str = ""

    def config(self) -> dict:
        """The part of Jupyter Book's configuration that makes the buttons; {} without a repository."""
        if not self.repository:
            return {}
        buttons = {"notebook_interface": "jupyterlab"}
        if self.binder:
            buttons["binderhub_url"] = BINDER
        if self.colab:
            buttons["colab_url"] = COLAB
        if self.jupyterhub:
            buttons["jupyterhub_url"] = self.jupyterhub.rstrip("/")
        return {
            "repository": {"url": self.repository.rstrip("/"), "branch": self.branch, "path_to_book": ""},
            "launch_buttons": buttons,
        }


def launch() -> Launch:
    """Read ``course.yml``; a course without the file has no launch buttons.

    Raises:
        CourseError: for unknown fields, or addresses that are not http(s).
    """
    path = labs.root() / "course.yml"
    if not path.exists():
        return Launch()
    try:
        values = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("launch") or {}
        made = Launch(**values)
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        known = ", ".join(Launch.__dataclass_fields__)
        raise CourseError(
            f"{path} cannot be used ({' '.join(str(error).split())}); 'launch' has the fields {known}"
        ) from error
    for name in ("repository", "jupyterhub"):
        value = getattr(made, name)
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise CourseError(f"{path}: launch.{name} is '{value}'; it must be a full https:// address, or empty")
    return made
