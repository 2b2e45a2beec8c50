"""A small network that gives each item of a list a number; a softmax over the list makes it a probability.

The listwise softmax is that of Z. Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML
2007. Several items of a list may be right: the loss is minus the log of their summed probability.
"""

from collections.abc import Sequence

import numpy as np
import torch
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
        self.networks = [_fit(*data, epochs, seed * NETWORKS + k) for k in range(NETWORKS)]

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """Of the items with these features [items, features], float32 [items]."""
        x = torch.from_numpy((features - self.mean) / self.scale)
        with torch.inference_mode():
            scores = torch.stack([network(x)[:, 0].log_softmax(0) for network in self.networks])
        return scores.mean(dim=0).numpy()


def _fit(x: torch.Tensor, there: torch.Tensor, right: torch.Tensor, epochs: int, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(x.shape[2], HIDDEN), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1))
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(BATCH):
                wide = int(there[batch].sum(1).max())
                scores = network(x[batch, :wide])[..., 0].masked_fill(~there[batch, :wide], -torch.inf)
                chosen = scores.masked_fill(~right[batch, :wide], -torch.inf)
                loss = (scores.logsumexp(1) - chosen.logsumexp(1)).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return network.eval()
