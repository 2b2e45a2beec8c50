"""Where the tests find the real FinQA examples, and a small made-up report that stands in for them elsewhere."""

from pathlib import Path

import pytest

from finqa_lab.files import REPOSITORY, home


def finqa_folder(*needed: str) -> Path:
    """Folder with the real ``train.json``, ``dev.json``, ...; skips the calling test with the reason without it.

    A portion beside the checkout goes before what ``finqa-lab data fetch finqa`` downloaded.

    Args:
        needed: files that the test opens, by default ``dev.json``; not every copy has every file.
    """
    for folder in (REPOSITORY.parent / "shared" / "finqa", home() / "finqa"):
        if all((folder / name).is_file() for name in needed or ("dev.json",)):
            return folder
    pytest.skip("no real FinQA examples; `finqa-lab data fetch finqa` downloads them")


def raw_record(number: int = 1, **qa) -> dict:
    """A record as the official files hold it, question ``number`` on a page of ACME; ``qa`` replaces fields."""
    return {
        "id": f"ACME/2018/page_12.pdf-{number}",
        "filename": "ACME/2018/page_12.pdf",
        "pre_text": [
            "the following table presents net sales by segment ( in millions ) .",
            "net sales of the tools segment rose because of higher prices .",
        ],
        "post_text": [
            "the company repurchased 1.5 million shares in 2018 for $ 120.5 million .",
            "interest expense was $ 12 million in 2018 and $ 10 million in 2017 .",
            ".",
        ],
        "table": [
            ["", "2018", "2017"],
            ["tools", "$ 384.3", "$ 306.7"],
            ["services", "115.7", "93.3"],
            ["total net sales", "$ 500.0", "$ 400.0"],
        ],
        "qa": {
            "question": "what was the percentage change in total net sales from 2017 to 2018?",
            "answer": "25%",
            "steps": [
                {"op": "minus1-1", "arg1": "500.0", "arg2": "400.0", "res": "100"},
                {"op": "divide1-2", "arg1": "#0", "arg2": "400.0", "res": "25%"},
            ],
            "program": "subtract(500.0, 400.0), divide(#0, 400.0)",
            "gold_inds": {
                "table_3": "the total net sales of 2018 is $ 500.0 ; the total net sales of 2017 is $ 400.0 ;"
            },
            "exe_ans": 0.25,
            **qa,
        },
    }
