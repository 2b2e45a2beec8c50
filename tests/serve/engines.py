"""What the tests of the engine share: a small decoder with two adapters, requests, one reply at a time as oracle."""

import functools

import torch

from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.sampling import GREEDY, Sampling
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.request import Request
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter, set_adapter

SHAPE = DecoderConfig.llama(61, width=32, layers=2, heads=4, hidden=48, context=96, kv_heads=2)
LEARNED = DecoderConfig(61, width=32, layers=2, heads=4, hidden=48, context=96)


@functools.cache
def decoder(shape: DecoderConfig = SHAPE) -> Decoder:
    return Decoder(shape, seed=3).eval().requires_grad_(False)


@functools.cache
def adapted() -> Decoder:
    """A decoder with the adapters 'red' and 'blue', whose update is as large as the weights."""
    model = Decoder(SHAPE, seed=3).eval()
    for seed, name in enumerate(("red", "blue")):
        add_adapter(model, LoRAConfig(rank=4 + seed, targets=("query", "value", "up")), name, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        for layer in adapted_layers(model).values():
            layer.adapters[name].b.data.normal_(generator=generator)
    set_adapter(model, None)
    return model.requires_grad_(False)


def prompts(count: int, longest: int = 60, seed: int = 0, vocabulary: int = 61) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [tuple(torch.randint(0, vocabulary, (length,), generator=generator).tolist()) for length in lengths]


def requests(count: int, limit: int = 12, sampling: Sampling = GREEDY, seed: int = 0, **more) -> list[Request]:
    return [Request(prompt, Stop(limit), sampling, **more) for prompt in prompts(count, seed=seed)]


def alone(model: Decoder, request: Request) -> list[int]:
    """What the request gets with nobody else there, by the plain loop."""
    if adapted_layers(model):
        set_adapter(model, request.adapter)
    try:
        return generate(model, [request.prompt], request.stop, request.sampling).tokens[0]
    finally:
        if adapted_layers(model):
            set_adapter(model, None)
