"""The whole greedy loop of a decoder as one ONNX graph.

A tiny model spends its time between operations, not in them: an eager decode is some hundreds of small kernels, each
called through Python. The loop has a fixed number of steps, so it is unrolled when traced, and one call of ONNX Runtime
goes from prompt tokens to answer tokens. Three choices: a key/value cache inside the graph (eleven positions
are computed instead of 38); queries, keys and values in one product; RMSNorm written out with its gain, a pattern that
the runtime fuses into one node, and that folding the gain into the next matrix would break.
"""

import io
import math
import warnings

import torch
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.transformer import Decoder

OPSET = 17


class GreedyGraph(nn.Module):
    """Greedy decoding by plain tensor operations that trace into a static graph.

    Args:
        model: the decoder; its weights are copied, some of them transposed or joined.
        prompt: columns of the prompt, P.
        steps: tokens to generate.

    It has no stop token: a graph of fixed size generates ``steps`` tokens, and what follows an end token is to be
    ignored by the reader.
    """

    def __init__(self, model: Decoder, prompt: int, steps: int):
        super().__init__()
        config = model.config
        if prompt + steps - 1 > config.context:
            raise CourseError(
                f"a prompt of {prompt} and {steps} steps need a context of {prompt + steps - 1}, "
                f"but the checkpoint has {config.context}; choose the format that it was trained with"
            )
        self.config, self.prompt, self.steps, self.model = config, prompt, steps, model
        self.projections = nn.ParameterList(_joined_projections(block.attention, config) for block in model.blocks)

    def forward(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        """(B, P) int64 prompts, (B, P + steps) int64 digit places for a model that has them -> (B, steps) int64."""
        past: list = [None] * self.config.layers
        behind, length, fresh, answer = 0, self.prompt, tokens, []
        for _ in range(self.steps):
            x = self._embed(fresh, places, behind, length)
            for layer in range(self.config.layers):
                x, past[layer] = self._block(layer, x, length, past[layer])
            logits = self.model.norm(x[:, -1]) @ self.model.token_embedding.weight.T
            answer.append(logits.argmax(dim=-1))
            behind, length, fresh = behind + length, 1, answer[-1][:, None]
        return torch.stack(answer, dim=1)

    def _embed(self, tokens: Tensor, places: Tensor | None, behind: int, length: int) -> Tensor:
        x = self.model.token_embedding(tokens)
        if self.config.positions == "learned":
            x = x + self.model.position_embedding.weight[behind : behind + length]
        return x if places is None else x + self.model.place_embedding(places[:, behind : behind + length])

    def _block(self, layer: int, x: Tensor, length: int, past: tuple | None) -> tuple[Tensor, tuple]:
        """One block; the last one goes on with its last position only, as nothing else is read from it."""
        block, width = self.model.blocks[layer], self.config.width
        joined = block.attention_norm(x) @ self.projections[layer]
        query, key, value = joined[..., :width], joined[..., width : 2 * width], joined[..., 2 * width :]
        queries = length
        if layer == self.config.layers - 1 and length > 1:
            x, query, queries = x[:, -1:], query[:, -1:], 1
        key, value = self._split(key, length), self._split(value, length)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        scores = self._split(query, queries) @ key.transpose(-1, -2)
        if queries > 1:
            scores = scores + torch.full((length, length), float("-inf")).triu(1)
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(-1, queries, width)
        x = x + mixed @ block.attention.output.weight.T
        return x + block.mlp(block.mlp_norm(x)), (key, value)

    def _split(self, x: Tensor, length: int) -> Tensor:
        """(B, T, d) -> (B, H, T, d_head); the batch is the one free dimension of the graph."""
        return x.reshape(-1, length, self.config.heads, self.config.head_width).transpose(1, 2)


def _joined_projections(attention: nn.Module, config) -> nn.Parameter:
    """(d, 3d): query, key and value matrices side by side, the softmax's scale in the first.

    With grouped heads each key/value head is repeated for the query heads that it serves.
    """

    def repeated(weight: Tensor) -> Tensor:
        grouped = weight.reshape(config.key_value_heads, config.head_width, config.width)
        return grouped.repeat_interleave(config.heads // config.key_value_heads, dim=0).reshape(-1, config.width)

    scaled = attention.query.weight / math.sqrt(config.head_width)
    joined = torch.cat([scaled, repeated(attention.key.weight), repeated(attention.value.weight)])
    return nn.Parameter(joined.detach().T.contiguous(), requires_grad=False)


class _WrittenOutNorm(nn.Module):
    """RMSNorm in the operations of the pattern that ONNX Runtime fuses; opset 17 has no such operator."""

    def __init__(self, gain: Tensor, eps: float):
        super().__init__()
        self.gain, self.eps = gain, eps

    def forward(self, x: Tensor) -> Tensor:
        return x / torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps) * self.gain


def export_greedy(model: Decoder, prompt: int, steps: int) -> bytes:
    """The graph as bytes of an ONNX file.

    Inputs ``tokens`` (B, P) int64 and, for a model with a place table, ``places`` (B, P + steps) int64; output
    ``answer`` (B, steps) int64; B is free.

    Raises:
        CourseError: when prompt and steps do not fit the decoder's context, or the packages are missing.
    """
    try:
        import onnx  # noqa: F401 - torch.onnx needs it, and says so less clearly
    except ImportError:
        raise CourseError("exporting a checkpoint needs onnx: pip install 'finqa-lab[serve]'") from None
    model = _with_written_out_norms(model)
    names, example = ["tokens"], [torch.zeros(2, prompt, dtype=torch.int64)]
    if model.config.places:
        names.append("places")
        example.append(torch.zeros(2, prompt + steps, dtype=torch.int64))
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is deprecated; the other one does not unroll the loop
        torch.onnx.export(
            GreedyGraph(model, prompt, steps).eval(),
            tuple(example),
            content,
            input_names=names,
            output_names=["answer"],
            dynamic_axes={name: {0: "batch"} for name in [*names, "answer"]},
            opset_version=OPSET,
            dynamo=False,
        )
    return content.getvalue()


def _with_written_out_norms(model: Decoder) -> Decoder:
    """A copy of the decoder whose norms are :class:`_WrittenOutNorm`."""
    twin = Decoder(model.config)
    twin.load_state_dict(model.state_dict())
    for block in twin.blocks:
        for name in ("attention_norm", "mlp_norm"):
            norm = getattr(block, name)
            setattr(block, name, _WrittenOutNorm(norm.gain, norm.eps))
    twin.norm = _WrittenOutNorm(twin.norm.gain, twin.norm.eps)
    return twin.eval().requires_grad_(False)
