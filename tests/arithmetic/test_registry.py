"""Versions named by their content; promotion with history; nothing half-written."""

import json
import os
import pickle
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.arithmetic.service.promotion import LOCK_FILE, POINTER_FILE, Promotion
from finqa_lab.arithmetic.service.registry import Registry, content_id
from finqa_lab.errors import CourseError


def write_checkpoint(folder, seed=0):
    """A folder with the right files; the weights are an empty safetensors file with `seed` in its header."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"seed": str(seed)}}).encode()
    (folder / "config.json").write_text(json.dumps({"format": 1, "seed": seed}))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def add(registry, seed):
    return registry.add(write_checkpoint(registry.root.parent / f"checkpoint-{seed}", seed))


def test_add_lists_and_describes(registry, tmp_path):
    source = write_checkpoint(tmp_path / "source")
    version = registry.add(source, metrics={"wrong": 0}, data_sha256="ab" * 32, note="first")
    card = registry.card(version)
    assert (card.metrics, card.data_sha256, card.note) == ({"wrong": 0}, "ab" * 32, "first")
    assert card.created.endswith("+00:00")
    assert registry.versions() == [version]
    folder = registry.verify(version)
    assert version == content_id((folder / "config.json").read_bytes(), (folder / "model.safetensors").read_bytes())
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "config.json", "model.safetensors"]


def test_adding_twice_changes_nothing(registry):
    first = add(registry, 1)
    before = (registry.folder(first) / "card.json").read_bytes()
    assert add(registry, 1) == first
    assert (registry.folder(first) / "card.json").read_bytes() == before
    assert [path.name for path in registry.versions_folder.iterdir()] == [first]


def test_versions_are_ordered_by_date(registry):
    assert [add(registry, seed) for seed in (3, 1, 2)] == registry.versions()


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_different_content_different_id(a, b, c, d):
    assert (content_id(a, b) == content_id(c, d)) == ((a, b) == (c, d))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_an_altered_version_is_refused(registry, name):
    version = add(registry, 1)
    path = registry.folder(version) / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2"))
    with pytest.raises(CourseError, match=f"version {version} .* was altered"):
        registry.verify(version)
    with pytest.raises(CourseError, match="was altered"):
        Promotion(registry).promote(version)
    assert Promotion(registry).current() is None


def test_pickles_are_refused_and_not_opened(registry, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    folder = tmp_path / "pickle"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CourseError, match=r"model\.pt, which can run code"):
        registry.add(folder)
    (folder / "model.pt").rename(folder / "model.safetensors")
    with pytest.raises(CourseError, match="not in safetensors format"):
        registry.add(folder)
    assert not (tmp_path / "exploded").exists()
    assert registry.versions() == []


@pytest.mark.parametrize(
    "prepare, sentence",
    [
        (lambda folder: None, "is not a checkpoint folder"),
        (lambda folder: folder.mkdir(), "lacks config.json"),
        (lambda folder: (write_checkpoint(folder) / "model.safetensors").unlink(), "lacks model.safetensors"),
        (lambda folder: (write_checkpoint(folder) / "config.json").write_text("{"), "not JSON"),
        (lambda folder: (write_checkpoint(folder) / "config.json").write_text("[]"), "not a JSON object"),
        (lambda folder: (write_checkpoint(folder) / "model.safetensors").write_bytes(b"\xff" * 16), "not in safetens"),
    ],
)
def test_bad_checkpoints(registry, tmp_path, prepare, sentence):
    folder = tmp_path / "bad"
    prepare(folder)
    with pytest.raises(CourseError, match=sentence):
        registry.add(folder)
    assert registry.versions() == []


@pytest.mark.parametrize("version", ["../../etc", "", "0" * 15, "G" * 16, "0" * 16, None])
def test_unknown_versions(registry, version):
    add(registry, 1)
    with pytest.raises(CourseError, match="version"):
        registry.folder(version)


def test_a_failed_write_leaves_nothing(registry, tmp_path, monkeypatch):
    source = write_checkpoint(tmp_path / "source")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CourseError, match="No space left on device"):
        registry.add(source)
    assert list(registry.versions_folder.iterdir()) == []


def test_promote_and_roll_back(registry):
    one, two, three = (add(registry, seed) for seed in (1, 2, 3))
    promotion = Promotion(registry)
    assert promotion.current() is None
    for version in (one, two, two, three):
        assert promotion.promote(version) == version
        assert promotion.current() == version
    assert promotion.roll_back() == two
    assert promotion.roll_back() == one
    with pytest.raises(CourseError, match="no earlier version"):
        promotion.roll_back()
    assert promotion.current() == one
    actions = [(entry["action"], entry["version"]) for entry in promotion.history()]
    assert actions == [
        ("promote", one), ("promote", two), ("promote", three), ("rollback", two), ("rollback", one)
    ]  # fmt: skip


def test_rolling_back_to_an_altered_version_is_refused(registry):
    promotion = Promotion(registry)
    one, two = add(registry, 1), add(registry, 2)
    promotion.promote(one)
    promotion.promote(two)
    (registry.folder(one) / "config.json").write_text("{}")
    with pytest.raises(CourseError, match="was altered"):
        promotion.roll_back()
    assert promotion.current() == two


def test_the_stamp_changes_with_each_promotion(registry):
    promotion = Promotion(registry)
    stamps = [promotion.stamp()]
    for version in (add(registry, 1), add(registry, 2)):
        promotion.promote(version)
        stamps.append(promotion.stamp())
    assert stamps[0] is None and len(set(stamps)) == 3
    assert promotion.stamp() == stamps[-1]


def test_a_damaged_pointer_is_one_sentence(registry):
    registry.root.mkdir()
    for content in ("{", "[]", '{"stack": [1], "history": []}', '{"stack": []}'):
        (registry.root / POINTER_FILE).write_text(content)
        with pytest.raises(CourseError, match="pointer"):
            Promotion(registry).current()


def test_concurrent_promotions_lose_no_history(registry):
    versions = [add(registry, seed) for seed in range(4)]
    workers = [
        threading.Thread(target=lambda mine=version: [Promotion(registry).promote(mine) for _ in range(5)])
        for version in versions
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    promotion = Promotion(registry)
    history = promotion.history()
    assert {entry["version"] for entry in history} == set(versions)
    assert history[-1]["version"] == promotion.current()
    assert not (registry.root / LOCK_FILE).exists()


def test_a_forgotten_lock_is_named(registry, monkeypatch):
    version = add(registry, 1)
    (registry.root / LOCK_FILE).touch()
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with pytest.raises(CourseError, match="delete that file"):
        Promotion(registry).promote(version)
