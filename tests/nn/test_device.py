"""The device parameter: refused with a sentence where it cannot be had, and weights that do not depend on it."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.device import device_named
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.shared_prefix import greedy_shared
from finqa_lab.nn.transformer import Decoder

CONFIG = DecoderConfig(vocabulary=11, width=16, layers=2, heads=2, hidden=32, context=9)


def test_an_unknown_device_and_a_missing_one_are_one_sentence(monkeypatch):
    with pytest.raises(CourseError, match="device is 'tpu'; allowed: cpu, cuda"):
        device_named("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CourseError, match="torch sees none here; use device 'cpu'"):
        device_named("cuda")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device"))])  # fmt: skip
def test_greedy_decoding_takes_prompts_from_the_cpu_and_agrees_with_the_cpu(device):
    prompts = torch.randint(0, 11, (50, 5), generator=torch.Generator().manual_seed(0)).sort(dim=0).values
    expected = greedy(Decoder(CONFIG, seed=3), prompts, 4)
    model = Decoder(CONFIG, seed=3).to(device_named(device))
    for decode in (greedy, greedy_shared):
        answer = decode(model, prompts, 4)
        assert answer.device.type == device
        assert (answer.cpu() == expected).float().mean() > 0.98  # a near tie may fall the other way on another device
