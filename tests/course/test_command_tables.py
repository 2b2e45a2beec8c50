"""The book's table of settings names every setting."""

import dataclasses

from finqa_lab.course.command_tables import train_settings
from finqa_lab.tune.settings import Settings


def test_every_setting_has_a_row_with_its_values_and_default():
    rows = train_settings().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [one.name for one in dataclasses.fields(Settings)]
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows), "a bar inside a cell would make a column"
    text = "\n".join(rows)
    assert "| `strategy` | `ddp`, `fsdp` | ddp |" in text
    assert "| `recompute` | true or false | false |" in text and "| `rank` | whole number | 8 |" in text
    assert "| `targets` | names | query, key," in text
