"""The log of an Ollama server, whole and damaged."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.analysis import first_token_by_prompt, latency_by_output
from finqa_lab.serve.load.ollama_log import go_duration, parse_ollama_log, read_ollama_log

OTHER = [
    'time=2025-02-10T11:19:54.425+08:00 level=INFO source=server.go:594 msg="llama runner started in 0.76 seconds"',
    "llama_new_context_with_model: graph splits = 2",
    "[GIN-debug] POST   /api/chat    --> github.com/ollama/ollama/server.(*Server).ChatHandler-fm (5 handlers)",
    "",
]


def gin(latency="35.684791792s", status=200, path="/api/chat", prefix=""):
    return f'{prefix}[GIN] 2025/02/10 - 11:20:29 | {status} | {latency} |       127.0.0.1 | POST     "{path}"'


def last(total=2.0, load=0.1, reading=0.4, prompt=512, output=70, created="2025-02-10T03:20:29.114914Z", **values):
    body = {"model": "llama3.2:3b", "created_at": created, "message": {"role": "assistant", "content": ""},
            "done_reason": "stop", "done": True, "total_duration": round(total * 1e9),
            "load_duration": round(load * 1e9), "prompt_eval_count": prompt,
            "prompt_eval_duration": round(reading * 1e9), "eval_count": output,
            "eval_duration": round((total - load - reading) * 1e9)} | values  # fmt: skip
    return json.dumps({key: value for key, value in body.items() if value is not ...})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("35.684791792s", 35.684791792),
        ("414.019µs", 0.000414019),
        ("29m59s", 1799),
        ("30m0s", 1800),
        ("1h2m3.5s", 3723.5),
        ("842.1ms", 0.8421),
        ("87ns", 8.7e-8),
        ("0s", 0),
    ],
)
def test_durations_of_go_are_read(text, seconds):
    assert go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1.2.3s", "-1s", "1s 2s", "abc", "9" * 400 + "s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        go_duration(text)


def test_request_lines_are_read_with_colours_and_the_journals_prefix():
    lines = [gin(), gin("29m59s", 500, prefix="Dec 11 09:58:58 quorra ollama[1543654]: "),
             gin("\x1b[97;42m1.5s\x1b[0m", path="/api/tags"), *OTHER]  # fmt: skip
    log = parse_ollama_log(lines)
    assert [(r.status, r.latency, r.path) for r in log.requests] == [
        (200, 35.684791792, "/api/chat"), (500, 1799, "/api/chat"), (200, 1.5, "/api/tags")]  # fmt: skip
    assert log.requests[0].ended == datetime(2025, 2, 10, 11, 20, 29)
    assert [r.latency for r in log.failures()] == [1799]
    assert log.rows == [] and log.malformed == [] and log.other == 3


def test_last_objects_become_rows():
    log = parse_ollama_log([last(), json.dumps({"model": "m", "done": False, "response": "The"})])
    (row,) = log.rows
    assert (row.prompt_tokens, row.output_tokens, row.latency, row.ttft) == (512, 70, 2.0, 0.5)
    assert row.end == pytest.approx(datetime(2025, 2, 10, 3, 20, 29, 114914, UTC).timestamp())
    assert log.paired == 0 and log.malformed == []


def test_counts_of_zero_are_left_out_by_the_server_and_nanoseconds_of_the_date_are_cut():
    line = last(prompt_eval_count=..., prompt_eval_duration=..., created="2025-02-10T11:20:29.114914123+08:00")
    (row,) = parse_ollama_log(["Feb 10 11:20:29 host proxy[7]: " + line]).rows
    assert (row.prompt_tokens, row.ttft) == (0, 0.1)
    assert row.end == pytest.approx(datetime(2025, 2, 10, 3, 20, 29, 114914, UTC).timestamp())


def test_objects_and_request_lines_are_paired_once_by_their_durations():
    lines = [last(2.0), gin("2.003s"), gin("7.9s", 500), last(8.0, output=300), gin("8.02s"), last(2.0, prompt=9),
             gin("2.004s", path="/api/tags"), gin("20s")]  # fmt: skip
    log = parse_ollama_log(lines)
    assert log.paired == 2
    assert sorted(row.latency for row in log.rows) == [2.0, 2.003, 8.02]
    assert {row.prompt_tokens for row in log.rows if row.latency == 2.0} == {9}


def test_damaged_lines_are_counted_and_named_and_harm_nothing_else():
    lines = [last(), '[GIN] 2025/02/10 - 11:20:29 | 200 | 35.6', last()[:-4], gin("5parsecs"),
             gin().replace("2025/02/10", "2025/13/40"), last(total_duration="2s"), last(total_duration=-1),
             last(eval_count=True), last(created="yesterday"), last(created=...), last(total=0.1), '{"done": 1}',
             '{"model": 3}', "{" * 5000 + '"done"', "[GIN] 2", gin("1.5s")]  # fmt: skip
    log = parse_ollama_log(lines)
    assert len(log.rows) == 1 and len(log.requests) == 1
    assert [int(text.split()[1].rstrip(":")) for text in log.malformed] == list(range(2, 16))


almost = st.builds(lambda text, cut: text[:cut], st.sampled_from([last(), gin()]), st.integers(0, 400))


@given(st.lists(st.text() | st.text(alphabet='{}"done:|s0123 ', max_size=40).map("[GIN] ".__add__) | almost))
def test_no_line_makes_the_reader_raise(lines):
    log = parse_ollama_log(lines)
    assert len(log.rows) + len(log.requests) + len(log.malformed) + log.other <= len(lines)


def test_a_log_of_a_server_gives_the_same_plots_as_our_own(tmp_path):
    lines = []
    for number in range(30):
        prompt, output = 100 + 40 * (number % 6), 50 + 10 * number
        reading, total = prompt / 500, 0.02 + prompt / 500 + output / 60
        created = datetime.fromtimestamp(1_740_000_000 + 20 * number, UTC).isoformat()
        lines += [last(total, 0.02, reading, prompt, output, created), gin(f"{total + 0.001:.6f}s")]
    (tmp_path / "server.log").write_text("\n".join([*OTHER, *lines]) + "\n")
    log = read_ollama_log(tmp_path / "server.log")
    assert log.paired == len(log.rows) == 30
    assert 1 / first_token_by_prompt(log.rows).line.slope.value == pytest.approx(500, rel=1e-3)
    assert 1 / latency_by_output(log.rows).line.slope.value == pytest.approx(60, rel=0.02)


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CourseError, match="none.log cannot be read"):
        read_ollama_log(tmp_path / "none.log")
