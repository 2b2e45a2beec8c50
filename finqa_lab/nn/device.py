"""Where a model computes: the name that a lab's parameter gives, checked before anything is allocated."""

import torch

from finqa_lab.errors import CourseError

DEVICES = ("cpu", "cuda")


def device_named(name: str) -> torch.device:
    """The device called ``name``.

    Weights are drawn on the CPU and moved, so a seed gives the same initial weights everywhere. What follows is not
    bitwise equal across devices: sums are taken in another order.

    >>> device_named("cpu")
    device(type='cpu')

    Raises:
        CourseError: for an unknown name, or for ``cuda`` where torch sees no such device.
    """
    if name not in DEVICES:
        raise CourseError(f"device is '{name}'; allowed: {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise CourseError(
            "device 'cuda' was asked for, but torch sees none here; use device 'cpu', or install a CUDA build"
        )
    return torch.device(name)
