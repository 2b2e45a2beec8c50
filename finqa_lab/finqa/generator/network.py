"""A small network that gives each item of a list a number; a softmax over the list makes it a probability.

The listwise softmax is that of Z. Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML
2007. Several items of a list may be right: the loss is minus the log of their summed probability.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HIDDEN, NETWORKS, EPOCHS, RATE, DECAY, DROPOUT, BATCH = 64, 3, 40, 3e-3, 0.05, 0.3, 64


class ListwiseNetwork:
    """Networks that differ in their starting weights; their log probabilities are averaged.

    Args:
        lists: pairs of a float matrix [items, features] and a mask [items] of the right ones, at least one.
        seed: of the starting weights and the order of the lists.
        epochs: passes over the lists.
    """

    def __init__(self, lists: Sequence[tuple[np.ndarray, np.ndarray]], seed: int, epochs: int = EPOCHS):
        longest = max(len(x) for x, _ in lists)
        x = np.zeros((len(lists), longest, lists[0][0].shape[1]), np.float32)
        there, right = np.zeros((2, len(lists), longest), bool)
        for i, (features, mask) in enumerate(lists):
            x[i, : len(mask)], there[i, : len(mask)], right[i, : len(mask)] = features, True, mask
        self.mean, self.scale = x[there].mean(axis=0), x[there].std(axis=0) + 0.1
        data = [torch.from_numpy(a) for a in ((x - self.mean) / self.scale, there, right)]
        self.networks = _fit(*data, epochs, seed)

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """Of the items with these features, float32 [..., items, features]; the result is float32 [..., items]."""
        x = torch.from_numpy((features - self.mean) / self.scale)
        with torch.inference_mode():
            scores = self.networks(x.flatten(0, -2)).unflatten(1, x.shape[:-1])
        return scores.log_softmax(-1).mean(dim=0).numpy()


class _Networks(nn.Module):
    """Two layers, :data:`NETWORKS` times side by side: one product of three-dimensional arrays instead of several."""

    def __init__(self, features: int):
        super().__init__()
        # The limits are those of torch.nn.Linear.
        first, second = 1 / math.sqrt(features), 1 / math.sqrt(HIDDEN)
        self.first = nn.Parameter(torch.empty(NETWORKS, features, HIDDEN).uniform_(-first, first))
        self.first_bias = nn.Parameter(torch.empty(NETWORKS, 1, HIDDEN).uniform_(-first, first))
        self.second = nn.Parameter(torch.empty(NETWORKS, HIDDEN, 1).uniform_(-second, second))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores [networks, items] of items [items, features]."""
        hidden = F.gelu(torch.matmul(x, self.first) + self.first_bias)
        return torch.matmul(F.dropout(hidden, DROPOUT, self.training), self.second)[..., 0]


def _fit(x: torch.Tensor, there: torch.Tensor, right: torch.Tensor, epochs: int, seed: int) -> _Networks:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = _Networks(x.shape[2])
        optimizer = torch.optim.AdamW(networks.parameters(), lr=RATE, weight_decay=DECAY)
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(BATCH):
                real = there[batch]
                scores = torch.full((NETWORKS, *real.shape), -torch.inf)
                scores[:, real] = networks(x[batch][real])  # lists differ much in length: no work on the padding
                chosen = scores.masked_fill(~right[batch], -torch.inf)
                loss = (scores.logsumexp(-1) - chosen.logsumexp(-1)).mean(dim=1).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return networks.eval()
