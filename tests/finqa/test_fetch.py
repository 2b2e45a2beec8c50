"""Fetching against a server on this machine: every way a download goes wrong, and what is left behind then."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from finqa_lab.cli import main
from finqa_lab.errors import CourseError
from finqa_lab.finqa import fetch as release
from finqa_lab.finqa.fetch import Source, fetch, fetched_path
from tests.finqa_data import raw_record

CONTENT = {
    "train.json": json.dumps([raw_record(number) for number in (1, 2, 3)]).encode(),
    "dev.json": json.dumps([raw_record(4)]).encode(),
}


def sources(content=CONTENT, records=None) -> tuple[Source, ...]:
    return tuple(Source(name, hashlib.sha256(data).hexdigest(), records) for name, data in content.items())


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.content``; ``server.cuts`` says after how many bytes each coming answer breaks off."""

    def do_GET(self):
        name, server = self.path.rpartition("/")[2], self.server
        server.requests.append((name, self.headers.get("Range")))
        if name in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[name])
            self.end_headers()
            return
        if name not in server.content:
            self.send_error(404)
            return
        data, start = server.content[name], 0
        if server.ranges and "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        if server.lengths:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server():
    with serving(Handler) as running:
        running.content, running.redirects = dict(CONTENT), {}
        running.requests, running.cuts = [], []
        running.ranges = running.lengths = True
        running.url = f"http://127.0.0.1:{running.server_port}/dataset"
        yield running


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_fresh_download_is_verified_and_a_second_one_asks_for_nothing(server, tmp_path):
    seen = []
    found = fetch(tmp_path, server.url, sources(), lambda *event: seen.append(event))
    assert [(one.downloaded, one.records, one.left_out) for one in found] == [(True, 3, 0), (True, 1, 0)]
    assert {name: (tmp_path / name).read_bytes() for name in CONTENT} == CONTENT
    assert names(tmp_path) == ["dev.json", "manifest.json", "train.json"]
    assert seen[-1] == ("dev.json", len(CONTENT["dev.json"]), len(CONTENT["dev.json"]))
    assert fetched_path("dev.json", tmp_path) == tmp_path / "dev.json"
    server.requests.clear()
    again = fetch(tmp_path, server.url, sources())
    assert server.requests == [] and [(one.downloaded, one.records) for one in again] == [(False, 3), (False, 1)]


def test_a_cut_connection_is_continued_within_the_run(server, tmp_path):
    server.cuts = [1000, 500]
    fetch(tmp_path, server.url, sources())
    assert server.requests[:3] == [("train.json", None), ("train.json", "bytes=1000-"), ("train.json", "bytes=1500-")]
    assert (tmp_path / "train.json").read_bytes() == CONTENT["train.json"]


def test_a_download_that_broke_off_leaves_only_a_partial_file_which_the_next_run_continues(server, tmp_path):
    server.cuts = [1000, 0, 0]
    with pytest.raises(CourseError, match=r"broke off after 1,000 of [\d,]+ bytes, 3 times; run the command again"):
        fetch(tmp_path, server.url, sources())
    (partial,) = names(tmp_path)
    assert partial.startswith(".train.json.") and (tmp_path / partial).stat().st_size == 1000
    server.requests.clear()
    fetch(tmp_path, server.url, sources())
    assert server.requests[0] == ("train.json", "bytes=1000-")
    assert names(tmp_path) == ["dev.json", "manifest.json", "train.json"]


def test_an_interrupted_run_leaves_the_old_file_in_place(server, tmp_path):
    (tmp_path / "train.json").write_text("old")

    def interrupt(name, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, server.url, sources(), interrupt)
    assert (tmp_path / "train.json").read_text() == "old" and "manifest.json" not in names(tmp_path)
    assert fetch(tmp_path, server.url, sources())[0].downloaded
    assert (tmp_path / "train.json").read_bytes() == CONTENT["train.json"]


def test_a_partial_file_that_was_complete_already_is_only_verified(server, tmp_path):
    (source, _) = sources()
    (tmp_path / f".train.json.{source.sha256[:12]}.part").write_bytes(CONTENT["train.json"])
    fetch(tmp_path, server.url, (source,))
    assert server.requests == [("train.json", f"bytes={len(CONTENT['train.json'])}-")]
    assert names(tmp_path) == ["manifest.json", "train.json"]


def test_a_partial_file_longer_than_the_file_is_begun_again(server, tmp_path):
    (source, _) = sources()
    (tmp_path / f".train.json.{source.sha256[:12]}.part").write_bytes(CONTENT["train.json"] + b"more")
    fetch(tmp_path, server.url, (source,))
    assert (tmp_path / "train.json").read_bytes() == CONTENT["train.json"]


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.ranges, server.cuts = False, [1000]
    fetch(tmp_path, server.url, sources())
    assert (tmp_path / "train.json").read_bytes() == CONTENT["train.json"]


def test_a_server_that_does_not_say_the_length_is_read_to_the_end(server, tmp_path):
    server.lengths, seen = False, []
    fetch(tmp_path, server.url, sources(), lambda *event: seen.append(event))
    assert (tmp_path / "train.json").read_bytes() == CONTENT["train.json"] and seen[0][2] is None


def test_another_sum_is_refused_in_one_sentence_and_nothing_is_left(server, tmp_path):
    server.content["train.json"] = CONTENT["train.json"].replace(b"25%", b"26%")
    with pytest.raises(CourseError, match=r"has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}") as caught:
        fetch(tmp_path, server.url, sources())
    assert "\n" not in str(caught.value) and names(tmp_path) == []


def test_a_spoilt_partial_file_is_refused_by_the_sum_and_the_next_run_begins_anew(server, tmp_path):
    (source, _) = sources()
    (tmp_path / f".train.json.{source.sha256[:12]}.part").write_bytes(b"x" * 100)
    with pytest.raises(CourseError, match="the partial file is removed"):
        fetch(tmp_path, server.url, (source,))
    assert fetch(tmp_path, server.url, (source,))[0].downloaded


@pytest.mark.parametrize(
    ("content", "records", "reason"),
    [
        (CONTENT["train.json"][:-30], None, "is no FinQA file: .* is not JSON"),
        (b"[{}, 4]", None, "is no FinQA file: .* has no usable record among 2"),
        (CONTENT["train.json"], 6251, "holds 3 records, expected 6251"),
    ],
)
def test_the_right_sum_of_a_wrong_content_is_refused(server, tmp_path, content, records, reason):
    server.content["train.json"] = content
    with pytest.raises(CourseError, match=reason):
        fetch(tmp_path, server.url, sources({"train.json": content}, records))
    assert names(tmp_path) == []


def test_a_missing_page_and_no_network_are_one_sentence_each(server, tmp_path):
    del server.content["train.json"]
    with pytest.raises(CourseError, match=r"/train\.json answered 404 Not Found; check the address"):
        fetch(tmp_path, server.url, sources())
    with serving(Handler) as stopped:
        url = f"http://127.0.0.1:{stopped.server_port}"
    with pytest.raises(CourseError, match=r"127\.0\.0\.1 cannot be reached for train\.json \(.*\); check the network"):
        fetch(tmp_path, url, sources())
    assert names(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///tmp", "http://example.org/x", "ftp://127.0.0.1", "https://", "train.json"])
def test_only_https_and_this_machine_are_asked(url, tmp_path):
    with pytest.raises(CourseError, match="is refused; give an https address"):
        fetch(tmp_path, url, sources())


def test_a_redirect_to_a_refused_address_is_not_followed(server, tmp_path):
    server.redirects["train.json"] = "http://example.org/train.json"
    with pytest.raises(CourseError, match=r"http://example\.org/train\.json is refused"):
        fetch(tmp_path, server.url, sources())


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_that_never_ends_is_given_up(server, tmp_path, monkeypatch, lengths):
    monkeypatch.setattr(release, "LARGEST", 1000)
    server.lengths, seen = lengths, []
    with pytest.raises(CourseError, match="has .* bytes, more than 1,000" if lengths else "sends more than"):
        fetch(tmp_path, server.url, sources(), lambda *event: seen.append(event))
    assert names(tmp_path) == [] == seen


def test_a_file_put_there_by_hand_is_taken_when_its_sum_is_right(server, tmp_path):
    (tmp_path / "train.json").write_bytes(CONTENT["train.json"])
    assert not fetch(tmp_path, server.url, sources()[:1])[0].downloaded and server.requests == []


def test_a_manifest_of_another_file_is_written_anew(server, tmp_path):
    fetch(tmp_path, server.url, sources())
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace(sources()[0].sha256, "0" * 64))
    fetch(tmp_path, server.url, sources())
    assert fetched_path("train.json", tmp_path)


def test_a_fetched_file_that_changed_is_noticed(server, tmp_path):
    with pytest.raises(CourseError, match="was not fetched; `finqa-lab data fetch finqa`"):
        fetched_path("train.json", tmp_path)
    fetch(tmp_path, server.url, sources())
    (tmp_path / "train.json").write_bytes(b"[]")
    with pytest.raises(CourseError, match="changed since it was fetched"):
        fetched_path("train.json", tmp_path)
    assert fetch(tmp_path, server.url, sources())[0].downloaded
    (tmp_path / "manifest.json").write_text('{"files": [1]}')
    with pytest.raises(CourseError, match="is no manifest of fetched files; remove it"):
        fetched_path("train.json", tmp_path)


def test_records_left_out_are_counted(server, tmp_path):
    content = {"train.json": json.dumps([raw_record(1), {"id": "a"}]).encode()}
    server.content = content
    (found,) = fetch(tmp_path, server.url, sources(content, records=2))
    assert (found.records, found.left_out) == (1, 1)


def test_the_command_fetches_and_says_what_it_verified(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FINQA_LAB_HOME", str(tmp_path))
    server.content["test.json"] = CONTENT["dev.json"]
    sums = [f"--sha256={s.name}={s.sha256}" for s in sources(server.content)]
    assert main(["data", "fetch", "finqa", "--base-url", server.url, *sums]) == 0
    out = capsys.readouterr().out
    assert "train.json: downloaded, 3 records" in out and "not verified: the annotations" in out
    assert names(tmp_path / "finqa") == ["dev.json", "manifest.json", "test.json", "train.json"]
    assert main(["data", "fetch", "finqa", "--base-url", server.url, *sums]) == 0
    assert "already there" in capsys.readouterr().out
    assert main(["data", "describe"]) == 0 and "| questions | 1 |" in capsys.readouterr().out
    (tmp_path / "finqa" / "dev.json").write_bytes(CONTENT["train.json"])
    assert main(["data", "describe"]) == 2 and "changed since it was fetched" in capsys.readouterr().err
    assert main(["data", "fetch", "finqa", "--sha256", "dev.json=12"]) == 2
    assert main(["data", "fetch", "finqa", "--sha256", f"x.json={'0' * 64}"]) == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err


def test_the_pins_are_a_commit_and_three_sums():
    assert len(release.REVISION) == 40 and release.REVISION in release.BASE_URL
    assert [source.records for source in release.FILES] == [6251, 883, 1147]
    assert all(len(source.sha256) == 64 and int(source.sha256, 16) for source in release.FILES)
