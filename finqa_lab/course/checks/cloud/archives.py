"""Check of lab 14: which members of an archive are refused."""

import posixpath
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register

Member = tuple[str, str, str]  # name, kind (file, folder, link, device), where a link points


def _outside(path: str) -> bool:
    return path.startswith("/") or posixpath.normpath(path).split("/")[0] == ".."


def _refused(members: list[Member], **wrong) -> list[str]:
    found = []
    for name, kind, target in members:
        steps = ".." in name.split("/")
        if wrong.get("begins_only"):
            steps = name.startswith("..")
        if wrong.get("normalised"):
            steps = _outside(name)
        if wrong.get("any_dots"):
            steps = ".." in name
        bad = steps or (name.startswith("/") and not wrong.get("absolute_kept"))
        if kind == "link" and wrong.get("link_names_kept"):
            bad = False
        bad |= kind == "device" and not wrong.get("devices_kept")
        if kind == "link":
            from_folder = posixpath.join(posixpath.dirname(name), target)
            leaves = _outside(from_folder)
            if wrong.get("from_root"):
                leaves = _outside(target)
            if wrong.get("absolute_targets_only"):
                leaves = target.startswith("/")
            if wrong.get("relative_targets_only"):
                leaves = leaves and not target.startswith("/")
            bad |= (leaves and not wrong.get("links_kept")) or bool(wrong.get("all_links"))
        if bad != bool(wrong.get("sound_ones")):
            found.append((name, kind, target) if wrong.get("whole_members") else name)
    return found


def member_cases(rng: random.Random) -> Iterator[Case]:
    """Members of an archive: name, kind, and for a link where it points."""
    yield Case([("config.json", "file", "")], note="a sound archive")
    yield Case([("/etc/cron.d/x", "file", "")], note="an absolute name")
    yield Case([("../x", "file", "")], note="out of the folder")
    yield Case([("code/../../x", "file", "")], note="out of it on a longer way")
    yield Case([("code/../x", "file", "")], note="down and up again")
    yield Case([("notes..txt", "file", "")], note="two dots that are part of a name")
    yield Case([("code/null", "device", "")], note="a device")
    yield Case([("code/a", "link", "/etc/passwd")], note="a link to an absolute path")
    yield Case([("code/a", "link", "../config.json")], note="a link that stays inside")
    yield Case([("a", "link", "../config.json")], note="the same target, one folder higher")
    yield Case([("a", "link", "code/inference.py"), ("code", "folder", "")])
    yield Case([("code/../a", "link", "b")], note="a link that points inside, with '..' in its own name")
    names = ["config.json", "code/inference.py", "/x", "code/../../y", "v..2/z", "code/deep/w", "../q"]
    targets = ["b", "../b", "../../b", "/b"]
    for _ in range(5):
        members = []
        for name in rng.sample(names, 4):
            kind = rng.choice(["file", "file", "folder", "link", "device"])
            members.append((name, kind, rng.choice(targets) if kind == "link" else ""))
        yield Case(members)


register(
    Check(
        name="cloud.refused_members",
        task="the members of an archive that must not be unpacked",
        cases=member_cases,
        oracle=_refused,
        why="an archive that is unpacked blindly writes where its maker wants: a start-up script, a key.",
        hint="refuse absolute names, names with a part '..', devices, and links whose target, seen from the link's own "
        "folder, lies outside.",
        wrong=[
            WrongAnswer(
                "'..' at the beginning only",
                lambda members: _refused(members, begins_only=True),
                "a name can go down first and up twice: look at every part of it, name.split('/').",
            ),
            WrongAnswer(
                "names normalised first",
                lambda members: _refused(members, normalised=True),
                "code/../x ends up inside only while code is a folder; were it a link, .. would lead elsewhere: refuse "
                "every part '..'.",
            ),
            WrongAnswer(
                "'..' anywhere in the text",
                lambda members: _refused(members, any_dots=True),
                "notes..txt is a plain name: compare whole parts with '..', not pieces of text.",
            ),
            WrongAnswer(
                "absolute names kept",
                lambda members: _refused(members, absolute_kept=True),
                "a name that begins with / is not below the folder at all.",
            ),
            WrongAnswer(
                "devices kept",
                lambda members: _refused(members, devices_kept=True),
                "a device, a pipe or a socket has no business in an archive of weights, whatever its name.",
            ),
            WrongAnswer(
                "links kept",
                lambda members: _refused(members, links_kept=True),
                "a link out of the folder makes the next member of that name a file elsewhere: look at its target.",
            ),
            WrongAnswer(
                "only absolute targets",
                lambda members: _refused(members, absolute_targets_only=True),
                "a relative target leaves the folder, too, when it goes up often enough.",
            ),
            WrongAnswer(
                "only relative targets",
                lambda members: _refused(members, relative_targets_only=True),
                "a link to /etc/passwd leaves without a single '..': a target that begins with / is refused, too.",
            ),
            WrongAnswer(
                "names of links kept",
                lambda members: _refused(members, link_names_kept=True),
                "a link has a name as well: the rules for names hold for every kind, the target comes on top.",
            ),
            WrongAnswer(
                "the members that are sound",
                lambda members: _refused(members, sound_ones=True),
                "that is the other half: asked for are the names that must not be unpacked.",
            ),
            WrongAnswer(
                "whole members",
                lambda members: _refused(members, whole_members=True),
                "asked for are names: the first of the three parts of a member.",
            ),
            WrongAnswer(
                "targets seen from the root",
                lambda members: _refused(members, from_root=True),
                "a link's target is read from the folder that the link lies in: code/a -> ../b is b.",
            ),
            WrongAnswer(
                "all links refused",
                lambda members: _refused(members, all_links=True),
                "stricter than asked for: here a link that stays inside is kept. (The course's own `unpack` refuses "
                "all of them, because its archives have none.)",
            ),
        ],
    )
)
