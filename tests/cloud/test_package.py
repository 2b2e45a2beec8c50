"""The archive: the same bytes every time, and nothing unpacked that does not belong there."""

import io
import os
import tarfile
from importlib import metadata

import pytest

from finqa_lab.cloud.errors import InvalidPackage
from finqa_lab.cloud.package import REQUIREMENTS, build_package, imported_modules, inspect_package, unpack
from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY, sha256_file
from tests.cloud.toys import write_archive


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model-folder"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "chat_template.jinja"):
        (folder / name).write_text(f"content of {name}")
    (folder / "pytorch_model.bin").write_text("a pickle")
    (folder / ".env").write_text("SECRET=1")
    return folder


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "adapter-folder"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "optimizer.pt"):
        (folder / name).write_text(f"content of {name}")
    return folder


def test_two_builds_are_the_same_bytes_whenever_and_wherever_they_are_made(model, adapter, tmp_path):
    first = build_package(tmp_path / "a" / "model.tar.gz", model, adapter)
    for path in [*model.iterdir(), *adapter.iterdir()]:
        os.utime(path, (1, 1))
        path.chmod(0o600)
    second = build_package(tmp_path / "b.tar.gz", model, adapter)
    assert first.sha256 == second.sha256 == sha256_file(second.path)
    (model / "config.json").write_text("other")
    assert build_package(tmp_path / "c.tar.gz", model, adapter).sha256 != first.sha256


def test_the_layout_is_the_services_and_no_pickle_or_hidden_file_travels(model, adapter, tmp_path):
    package = build_package(tmp_path, model, adapter)
    assert package.path.name == "model.tar.gz" and package.adapted
    outside_code = [name for name in package.members if not name.startswith("code/")]
    assert outside_code == [
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "answering.json", "chat_template.jinja",
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert {"code/inference.py", "code/requirements.txt", "code/finqa_lab/serve/engine.py"} <= set(package.members)
    assert not [name for name in package.members if name.startswith(("code/finqa_lab/cloud", "code/finqa_lab/course"))]
    assert not build_package(tmp_path / "plain.tar.gz", model).adapted
    with tarfile.open(package.path) as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.mtime, member.mode) == (0, 0, "", 0, 0o644)


def test_a_file_behind_a_link_is_packed_as_a_file(model, tmp_path):
    """A hub's cache is made of links."""
    (tmp_path / "blob").write_text("weights")
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to(tmp_path / "blob")
    folder = unpack(build_package(tmp_path / "m.tar.gz", model).path, tmp_path / "out")
    assert (folder / "model.safetensors").read_text() == "weights" and not (folder / "model.safetensors").is_symlink()


def test_what_is_unpacked_is_what_was_packed(model, adapter, tmp_path):
    package = build_package(tmp_path, model, adapter)
    folder = unpack(package.path, tmp_path / "out", package.sha256)
    assert (folder / "adapter" / "adapter_config.json").read_text() == "content of adapter_config.json"
    pins = (folder / "code" / "requirements.txt").read_text()
    assert f"tokenizers=={metadata.version('tokenizers')}\n" in pins and len(pins.splitlines()) == len(REQUIREMENTS)
    assert inspect_package(package.path) == package


def test_the_code_that_travels_imports_nothing_that_does_not(tmp_path):
    """Third-party packages at the top of the modules are those of requirements.txt and of every image."""
    import ast
    import sys

    modules = imported_modules(REPOSITORY / "finqa_lab" / "cloud" / "inference.py")
    assert "finqa_lab/tune/base.py" in modules and "finqa_lab/nn/__init__.py" in modules
    outside = set()
    for path in modules.values():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                outside |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                outside.add(node.module.partition(".")[0])
    outside -= set(sys.stdlib_module_names) | {"finqa_lab"}
    assert outside <= {*REQUIREMENTS, "torch", "numpy"}


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_folder_that_is_no_chat_model_is_refused(model, missing, tmp_path):
    (model / missing).unlink()
    with pytest.raises(CourseError, match=f"has no {missing}"):
        build_package(tmp_path, model)
    assert not (tmp_path / "model.tar.gz").exists()


def test_missing_folders_and_half_adapters_are_refused(model, adapter, tmp_path):
    with pytest.raises(CourseError, match="there is no model folder"):
        build_package(tmp_path, tmp_path / "none")
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(CourseError, match="has no adapter_model.safetensors"):
        build_package(tmp_path, model, adapter)


def evil(path, **fields) -> None:
    """A sound archive with one member more."""
    write_archive(path)
    with tarfile.open(path, "r:gz") as archive:
        sound = [(member, archive.extractfile(member).read()) for member in archive]
    with tarfile.open(path, "w:gz") as archive:
        for member, content in sound:
            archive.addfile(member, io.BytesIO(content))
        member = tarfile.TarInfo(fields.pop("name"))
        for field, value in fields.items():
            setattr(member, field, value)
        archive.addfile(member, io.BytesIO(b"\0" * member.size))


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"name": "../outside"}, "leads out of the folder"),
        ({"name": "code/../../outside"}, "leads out of the folder"),
        ({"name": "/etc/outside"}, "leads out of the folder"),
        ({"name": "c:outside"}, "leads out of the folder"),
        ({"name": "link", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "link or a device"),
        ({"name": "link", "type": tarfile.LNKTYPE, "linkname": "config.json"}, "link or a device"),
        ({"name": "null", "type": tarfile.CHRTYPE}, "link or a device"),
        ({"name": "pipe", "type": tarfile.FIFOTYPE}, "link or a device"),
        ({"name": "Config.JSON"}, "twice"),
        ({"name": "big", "size": 2_000_000}, "more than 1,000,000 bytes"),
    ],
)
def test_a_member_that_does_not_belong_there_stops_the_unpacking(tmp_path, fields, told):
    path = tmp_path / "model.tar.gz"
    evil(path, **fields)
    with pytest.raises(InvalidPackage, match=told):
        unpack(path, tmp_path / "out", most_bytes=1_000_000)
    assert not (tmp_path / "out").exists() and not (tmp_path / "outside").exists()


def test_a_damaged_or_foreign_archive_is_refused(tmp_path):
    path = write_archive(tmp_path / "model.tar.gz", extra={"model.safetensors": os.urandom(50_000)})
    whole = path.read_bytes()
    with pytest.raises(InvalidPackage, match="the plan says 000000000000"):
        unpack(path, tmp_path / "out", sha256="0" * 64)
    for broken in (
        whole[: len(whole) // 2],
        whole[:30],
        b"",
        b"no archive",
        whole[:20_000] + b"\0" * 10 + whole[20_010:],
    ):
        path.write_bytes(broken)
        with pytest.raises(InvalidPackage):
            unpack(path, tmp_path / "out")
    with pytest.raises(InvalidPackage, match="no readable"):
        inspect_package(tmp_path / "none.tar.gz")
    write_archive(path, without=["code/inference.py"])
    with pytest.raises(InvalidPackage, match="has no code/inference.py"):
        unpack(path, tmp_path / "out")


def test_a_folder_with_something_in_it_is_not_unpacked_into(tmp_path):
    path = write_archive(tmp_path / "model.tar.gz")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(InvalidPackage, match="is not empty"):
        unpack(path, tmp_path / "out")
