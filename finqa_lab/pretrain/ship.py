"""From a finished build to ``data/models/finqa-tiny``: the files with their sums, and a card of what was measured.

``python -m finqa_lab.pretrain.ship build/finqa-tiny`` measures the model (minutes) and writes both.
"""

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, register_data
from finqa_lab.finqa.intervals import Rate
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.pretrain.corpus import SHARES
from finqa_lab.pretrain.knowledge import knowledge
from finqa_lab.pretrain.planting import repetition_gain
from finqa_lab.quantitative.dataset import NUMERIC, dataset
from finqa_lab.quantitative.scoring import score
from finqa_lab.text.chat import load_chat_template
from finqa_lab.tune.answering import replies

NAME = "finqa-tiny"
COMMAND = (
    f"finqa-lab pretrain --recipe {NAME}-1 --out build/{NAME}-1 && finqa-lab pretrain --start build/{NAME}-1 "
    f"--out build/{NAME} && python -m finqa_lab.pretrain.ship build/{NAME}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ship a build; 0 done, 2 a mistake that the reader can mend."""
    parser = argparse.ArgumentParser(prog="python -m finqa_lab.pretrain.ship", description=__doc__)
    parser.add_argument("build", type=Path, help="folder of a finished `finqa-lab pretrain`")
    parser.add_argument("--hardware", default=platform.processor() or platform.machine(), help="for the card")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        facts = read_json(options.build / "training.json", "the build's facts")
        if not facts["finished"]:
            raise CourseError(f"{options.build} is not finished; run `finqa-lab pretrain` again to go on with it")
        known, task_scores, gain = measure(options.build / "model")
        text = card(facts, known, task_scores, gain, options.hardware, date.today().isoformat())
        for path in sorted((options.build / "model").iterdir()):
            register_data(f"models/{NAME}/{path.name}", path.read_bytes(), COMMAND)
        print(register_data(f"models/{NAME}/README.md", text.encode(), COMMAND))
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure(folder: Path, each: int = 100) -> tuple[dict[str, Rate], dict[str, Rate], float]:
    """What the model knows by kind of conversation, its share within 1% on the numeric tasks by kind of reply, and how
    much easier a repetition is for it."""
    found = load_pretrained(folder)
    known = knowledge(found.model, found.tokenizer, each)
    samples = [sample for sample in dataset(0).validation if sample.task in NUMERIC]
    scores, template = {}, load_chat_template(folder)
    for target in ("number", "program"):
        talks = {sample.id: sample.messages(target) for sample in samples}
        given = replies(found.model, found.tokenizer, template, talks, 120, end=found.eos)
        scores[target] = score(given, samples).rate("within")
    return known, scores, repetition_gain(found.model)


_CARD = """\
# Base model `{name}` (seed {seed})

**What.** A Llama-layout decoder of {parameters:,} parameters (width {width}, {layers} layers, {heads} heads over
{kv_heads} key/value heads, hidden {hidden}, vocabulary {vocabulary:,}, context {context:,}, tied embeddings; bfloat16,
safetensors) with its own byte-level BPE tokenizer, one digit a token, and a chat template. It knows the language of
generated financial reports and fails the course's tasks: that gap is what the labs on adaptation close. `transformers`
loads the folder unchanged.

**Data.** Generated text only ({shares}, `finqa_lab/pretrain`): no outside data. The pages are made
with other seeds than `data/reports`; no question of the course's data sets is in the text. The tokenizer was also
trained on the instructions of the course's tasks, the model was not. Windows of {length} tokens; {tokens:,} tokens
read, none twice.

**Compute.** {stages} with {rows} windows a step, {cpu_seconds:,.0f} CPU-seconds in the steps on one thread ({hardware},
torch {torch}, {day}); Muon for the matrices inside the blocks, AdamW for all else (highest rates: {rates}), a warm-up
and a cosine, bfloat16 products. The starting weights hold an induction head that was built by hand
(`finqa_lab/pretrain/planting.py`). `{command}` makes it again and can be
interrupted and resumed; another processor rounds differently and gives other weights.

**Loss.** Mean of the 50 steps up to a step, in nats a token (most of what is left is digits that nobody could guess):

{curve}

On unseen text of each genre: {held_out}.

**What it knows.** Replies that are right to the letter in unseen conversations (greedy, 95% Wilson interval):

{known}

The second of two equal runs of 30 random tokens costs {gain:.1f} nats a token less than the first.

**What it does not.** On the {questions} validation questions of the four numeric tasks (`finqa_lab.quantitative`, seed
0), within 1%: {tasks}.

**Licence.** MIT, like the rest of the repository.

**Limits.** It has read nothing but generated text: it knows no facts, no other language and hardly any English outside
the reports and the sentences of a small textbook. Do not use it for anything but the labs. SHA-256 sums are in
`data/manifest.json`.
"""


def card(
    facts: Mapping, known: Mapping[str, Rate], tasks: Mapping[str, Rate], gain: float, hardware: str, day: str
) -> str:
    """The model card as Markdown."""
    recipe, stages = facts["recipe"], [*([facts["before"]] if "before" in facts else []), facts]
    losses = [loss for stage in stages for loss in stage["losses"]]
    ends = [len(losses) * part // 10 for part in range(1, 11)]
    means = [sum(part) / len(part) for part in (losses[max(0, end - 50) : end] for end in ends)]
    curve = [
        f"| step | {' | '.join(f'{end:,}' for end in ends)} |",
        "|---" * (len(ends) + 1) + "|",
        f"| loss | {' | '.join(f'{mean:.3f}' for mean in means)} |",
    ]
    rows = [
        "| kind | right |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {rate} |" for name, rate in known.items()),
    ]
    return _CARD.format(
        **{key: value for key, value in recipe.items() if key not in ("plan", "shares")},
        **{key: facts[key] for key in ("seed", "parameters")},
        **{key: sum(stage[key] for stage in stages) for key in ("tokens", "cpu_seconds")},
        stages=" and then ".join(f"{stage['steps']:,} steps" for stage in stages),
        rates="; then ".join(_rates(stage["recipe"]["plan"]) for stage in stages),
        gain=gain,
        shares="; then ".join(_shares(stage["recipe"]) for stage in stages),
        hardware=hardware,
        torch=torch.__version__,
        day=day,
        command=COMMAND,
        curve="\n".join(curve),
        held_out="; after the second stage ".join(
            ", ".join(f"{name} {loss:.3f}" for name, loss in stage["held_out"].items()) for stage in stages
        ),
        known="\n".join(rows),
        questions=tasks["number"].total,
        tasks="; ".join(f"asked for a {target}: {rate}" for target, rate in tasks.items()),
    )


def _rates(plan: Mapping) -> str:
    return f"matrices {plan['muon']:.2g}, embeddings {plan['embedding']:.2g}, all else {plan['lr']:.2g}"


def _shares(recipe: Mapping) -> str:
    genres = ", ".join(f"{genre} {share:.0%}" for genre, share in recipe.get("shares", SHARES).items())
    return f"{genres} of the characters"


if __name__ == "__main__":
    sys.exit(main())
