"""Training a decoder to predict the next token of a text, and measuring how well it does: the plain loop.

The loss is the mean of ``-log p(next token)``. Divided by log 2 it is in bits a token: a model that gives every byte
one chance in 256 scores 8.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.transformer import Decoder


def byte_tokens(text: str) -> Tensor:
    """The UTF-8 bytes of a text as int64 token ids 0..255.

    >>> byte_tokens("5%").tolist()
    [53, 37]
    """
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).long()


def train_language_model(
    model: Decoder, tokens: Tensor, steps: int, batch: int = 16, length: int = 96, lr: float = 4e-3, seed: int = 0
) -> list[float]:
    """AdamW on random windows; warm-up over a tenth of the steps, then a cosine down to a tenth of the rate.

    Betas 0.9 and 0.95, weight decay 0.1 on matrices, gradients clipped to norm 1: the settings of GPT-3 (Brown et al.
    2020, appendix B).

    Args:
        model: trained in place.
        tokens: (N,) int64 on the CPU, N > length.
        steps: optimizer steps.
        batch, length: windows a step, and predicted tokens a window.
        lr: highest rate.
        seed: of the windows.

    Returns:
        The loss of every step, in bits a token.

    Raises:
        CourseError: when the text is shorter than a window.
    """
    if len(tokens) <= length:
        raise CourseError(f"the text has {len(tokens)} tokens; a window takes {length + 1}: shorten it or add text")
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    warmup = max(1, steps // 10)

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    generator, offsets = torch.Generator().manual_seed(seed), torch.arange(length + 1)
    losses = []
    model.train()
    for _ in range(steps):
        begins = torch.randint(0, len(tokens) - length, (batch, 1), generator=generator)
        window = tokens[begins + offsets].to(model.device)
        loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item() / math.log(2))
    model.eval()
    return losses


@torch.inference_mode()
def bits_per_token(model: Decoder, tokens: Tensor, length: int = 96, batch: int = 64) -> float:
    """Mean bits a token over consecutive windows of a text; every window starts without context.

    Args:
        model: in evaluation mode.
        tokens: (N,) int64; a rest shorter than a window is left out.
        length: predicted tokens a window.
        batch: windows a pass.
    """
    count = (len(tokens) - 1) // length
    inputs, targets = tokens[: count * length].view(count, length), tokens[1 : count * length + 1].view(count, length)
    total = 0.0
    for begin in range(0, count, batch):
        logits = model(inputs[begin : begin + batch].to(model.device))
        wanted = targets[begin : begin + batch].to(model.device)
        total += F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum").item()
    return total / (count * length) / math.log(2)
