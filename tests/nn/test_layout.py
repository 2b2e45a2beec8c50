"""The column layout changes nothing but strides."""

import torch

from finqa_lab.nn.checkpoint import encode_checkpoint
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.layout import column_major
from finqa_lab.nn.transformer import Decoder

CONFIG = DecoderConfig(
    61, width=32, layers=2, heads=4, hidden=44, context=64, mlp="swiglu", positions="rotary", tied=False
)


def test_logits_and_checkpoints_stay_and_every_matrix_is_by_columns():
    model, tokens = Decoder(CONFIG), torch.randint(0, 61, (3, 9))
    before, files = model(tokens), encode_checkpoint(model)
    assert column_major(model) is model
    torch.testing.assert_close(model(tokens), before, rtol=1e-5, atol=1e-5)
    assert encode_checkpoint(model) == files
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    assert len(matrices) == 2 * 7 + 2 and all(matrix.stride(0) == 1 for matrix in matrices)


def test_wide_matrices_can_stay_by_rows():
    model = column_major(Decoder(CONFIG), wide=False)
    matrices = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim == 2}
    by_columns = {name for name, matrix in matrices.items() if matrix.stride(0) == 1}
    assert "blocks.0.mlp.up.weight" in by_columns and "head.weight" in by_columns
    assert not any(name.endswith("mlp.down.weight") for name in by_columns)
