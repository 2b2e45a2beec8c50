"""The shipped checkpoint is the one its card describes, and still answers as it did."""

import numpy as np

from finqa_lab.arithmetic import problems, shipped
from finqa_lab.arithmetic.evaluation import evaluate
from finqa_lab.arithmetic.formats import FORMATS
from finqa_lab.files import data_root


def test_shipped_checkpoint_is_complete_and_small():
    folder = data_root() / shipped.folder_of("arithmetic")
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {"config.json", "model.safetensors", "README.md"} and sum(files.values()) < 1_000_000
    model, metadata = shipped.load_shipped()
    assert model.parameter_count() == 101_120 and metadata["recipe"]["name"] == "main" and metadata["seed"] == 0
    counts = metadata["evaluation"]
    assert (counts["asked"], counts["wrong"], counts["held_out_asked"], counts["held_out_wrong"]) == (
        1_500_500,
        0,
        154_716,
        0,
    )


def test_shipped_checkpoint_answers_a_sample_without_error():
    model, _ = shipped.load_shipped()
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(problems.SPACE, 30_000, replace=False))
    hard = np.flatnonzero(problems.carry_chain(np.arange(problems.SPACE)) == 3)[::29]
    for chosen in (ids, hard):
        result = evaluate(model, FORMATS["reversed"], chosen)
        assert result.total == len(chosen) and result.wrong_ids == []


def test_the_nearly_right_checkpoint_makes_the_errors_that_its_card_says():
    model, metadata = shipped.load_shipped("arithmetic-nearly")
    assert model.parameter_count() == 6_848 and metadata["recipe"]["name"] == "tiny" and metadata["seed"] == 2
    counts = evaluate(model, FORMATS["reversed"])
    assert 0 < metadata["evaluation"]["wrong"] < 100
    # Another processor may round a near tie the other way; more than a few would be another model.
    assert abs(counts.total_wrong - metadata["evaluation"]["wrong"]) <= 3


def test_an_unknown_checkpoint_is_one_sentence(capsys):
    assert shipped.main(["no-such"]) == 2
    assert "choose from: arithmetic, arithmetic-nearly" in capsys.readouterr().err
