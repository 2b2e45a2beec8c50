"""Problems in, answers out: the exported graph under ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.formats import Format
from finqa_lab.arithmetic.problems import MINUS, PLUS
from finqa_lab.arithmetic.service.validation import Problem
from finqa_lab.errors import CourseError


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said.

    Attributes:
        value: the number, or None when the tokens are no number in the model's format.
        raw: the generated tokens as text, in the order of generation.
    """

    value: int | None
    raw: str


class Engine(Protocol):
    """What the batching queue needs: tests use a fake one."""

    version: str

    def answer(self, problems: Sequence[Problem]) -> list[Answer]:
        """Answers in the order of the problems; called from one thread at a time."""
        ...


class OnnxEngine:
    """An exported decoder and the format that it was trained with.

    Args:
        graph: bytes of the ONNX file made by :func:`~finqa_lab.arithmetic.service.export.export_greedy`.
        spelling: the format.
        version: id of the version, reported with each answer.

    Raises:
        CourseError: when onnxruntime is missing or the graph cannot be loaded.
    """

    def __init__(self, graph: bytes, spelling: Format, version: str):
        self.spelling, self.version = spelling, version
        self._session = _session(graph)

    def answer(self, problems: Sequence[Problem]) -> list[Answer]:
        """One decode for all problems."""
        a = np.array([problem.left for problem in problems])
        b = np.array([problem.right for problem in problems])
        operation = np.array([PLUS if problem.operator == "+" else MINUS for problem in problems])
        tokens = self.generate(self.spelling.encode_prompts(a, operation, b))
        values = self.spelling.decode_answers(tokens).tolist()
        raws = map(self._text, tokens.tolist())
        return [Answer(value if value >= 0 else None, raw) for value, raw in zip(values, raws)]

    def generate(self, prompts: np.ndarray) -> np.ndarray:
        """Answer tokens (N, steps) int64 of encoded prompts (N, P) int64."""
        feed = {"tokens": prompts}
        places = self.spelling.digit_places(prompts)
        if places is not None:
            feed["places"] = places
        return self._session.run(None, feed)[0]

    def _text(self, tokens: list[int]) -> str:
        text = voc.decode(tokens)
        end = text.find("$")
        return text if end < 0 else text[: end + 1]


def _session(graph: bytes):
    try:
        import onnxruntime
    except ImportError:
        raise CourseError("serving needs onnxruntime: pip install 'finqa-lab[serve]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # products this small cost more to share out than to compute
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises its own unexported classes
        raise CourseError(
            f"the exported graph cannot be loaded ({error}); delete graph.onnx of that version"
        ) from error
