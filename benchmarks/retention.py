"""Retention: what a first copy of a text saves the base model on the second, by the distance between them.

    OMP_NUM_THREADS=1 python benchmarks/retention.py [--out benchmarks/results/retention.json]

Rows of finqa-tiny: a piece of 32 tokens of held-out filings, a filler from held-out reports of the given distance, and
the piece again. Compared with rows whose first piece is another one, over the last 24 tokens of four rows; with all
positions, with a window of 128, and with the window and four sinks. Also the mean loss on whole held-out rows, with all
positions and with the window: it shows nothing of this. Half a minute on one thread; nothing is drawn.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from finqa_lab.course.report import hardware
from finqa_lab.files import write_atomic
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.corpus import END, GENRES, held_out
from finqa_lab.tune.base import load_base

ROWS, PIECE, JUDGED, LEAD = 4, 32, 24, 8
DISTANCES = (32, 64, 128, 256, 512, 900)
SHAPES = {"all": {}, "window": {"window": 128}, "sinks": {"window": 128, "sinks": 4}}


@torch.inference_mode()
def loss(model: Decoder, rows: Tensor, judged: int, shape: dict) -> float:
    """Nats a token on the last ``judged`` tokens of (B, T) rows, with another window than the model's own."""
    whole, model.config = model.config, dataclasses.replace(model.config, **shape)
    try:
        logits = model(rows[:, :-1])[:, -judged:]
    finally:
        model.config = whole
    return cross_entropy(logits.flatten(0, 1).float(), rows[:, -judged:].flatten()).item()


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = load_base("finqa-tiny")
    end, longest = base.tokenizer.token_to_id(END), LEAD + max(DISTANCES)
    text = {
        name: torch.from_numpy(ids[ids != end].astype("int64"))
        for name, ids in held_out(base.tokenizer, ROWS * 1050, GENRES).items()
    }
    filler = text["reports"][: ROWS * longest].view(ROWS, longest)
    copied, other = text["filings"][: 2 * ROWS * PIECE].view(2, ROWS, PIECE)
    rows = []
    for distance in DISTANCES:
        row = {"distance": distance}
        for name, shape in SHAPES.items():
            for kind, first in (("new", other), ("seen", copied)):
                parts = [filler[:, :LEAD], first, filler[:, LEAD : LEAD + distance], copied]
                row[f"{kind}, {name}"] = round(loss(base.model, torch.cat(parts, 1), JUDGED, shape), 3)
        rows.append(row)
        print(row, flush=True)
    genres = [name for name in GENRES if name != "bindings" and len(text[name]) >= ROWS * base.model.config.context]
    pages = torch.cat([text[name][: ROWS * base.model.config.context].view(ROWS, -1) for name in genres])
    means = {name: round(loss(base.model, pages, pages.shape[1] - 1, SHAPES[name]), 3) for name in ("all", "window")}
    report = {"benchmark": "retention", "date": time.strftime("%Y-%m-%d"), "hardware": hardware(), "rows": rows}
    report |= {"whole_rows": len(pages), "mean_loss": means}
    print(means)
    if options.out:
        write_atomic(options.out, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
