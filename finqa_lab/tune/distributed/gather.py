"""From shards to whole tensors, so that what several ranks trained can be saved as one file."""

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from finqa_lab.errors import CourseError
from finqa_lab.tune.linear4bit import stored
from finqa_lab.tune.memory import Floor
from finqa_lab.tune.training import trained


def local(tensor: Tensor) -> Tensor:
    """What this rank holds of a tensor: its shard, or all of a plain one."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def held(model: nn.Module) -> int:
    """Numbers of the model that this rank holds, trained or frozen; codes of four bits count as stored."""
    return sum(local(parameter).numel() for parameter in model.parameters())


def held_floor(model: nn.Module, optimizer: torch.optim.Optimizer) -> Floor:
    """:func:`finqa_lab.tune.memory.measured` for what this rank holds; call it after an optimizer step.

    What stands beside the shards for a while (gathered blocks, DDP's buckets) is not in it.
    """
    if isinstance(model, FSDPModule):
        model.reshard()
    parts = {True: 0, False: 0}
    for name, parameter in model.named_parameters():
        kept = [local(parameter)] if isinstance(parameter, DTensor) else [*stored(parameter)]
        parts[".adapters." in name] += sum(tensor.nbytes for tensor in kept)
    gradients = [local(p.grad) for p in model.parameters() if p.grad is not None]
    values = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    moments = [local(value) for value in values if value.ndim]  # not the step counter, one number a tensor
    sizes = (sum(tensor.nbytes for tensor in tensors) for tensors in (gradients, moments))
    return Floor(parts[False], parts[True], *sizes)


def whole_trained(model: nn.Module, keep: bool = True) -> dict[str, Tensor]:
    """The trained parameters by name, whole and on the CPU. All ranks must call this.

    Args:
        model: sharded or not.
        keep: False on ranks that only help others gather; they get an empty dictionary, and hold one tensor at a time.
    """
    if isinstance(model, FSDPModule):
        model.reshard()
    found = {}
    for name, parameter in trained(model).items():
        value = parameter.detach()
        value = value.full_tensor() if isinstance(value, DTensor) else value
        if keep:
            found[name] = value.cpu()
    return found


def put(model: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """Write whole tensors into a plain model that was made in the same way; returns it.

    Raises:
        CourseError: when the model trains other parameters.
    """
    parameters = trained(model)
    if {name: p.shape for name, p in parameters.items()} != {name: t.shape for name, t in tensors.items()}:
        raise CourseError("the gathered parameters are not those of this model; make it with the same settings")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
    return model
