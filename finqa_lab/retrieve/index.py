"""An index of many reports in a folder: pages can be added and deleted, and it is not opened for what it was not made.

The folder holds ``pages.json``, ``vectors.npy`` and a ``manifest.json`` with the chunker's settings, the analyzer, the
encoder's name, a hash of the pages, counts, and size and SHA-256 of both files. Nothing in it can run code. BM25 is
built again when a folder is opened, which takes about a second for 20,000 chunks; the vectors, which may have cost
minutes with a pretrained encoder, are read.
"""

import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic
from finqa_lab.finqa.pages import Page, read_pages
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunk, Chunker
from finqa_lab.retrieve.dense import DenseIndex, Encoder
from finqa_lab.retrieve.search import CORPUS, Hit, HybridSearch, Weights

FORMAT = 1
MANIFEST, PAGES, VECTORS = "manifest.json", "pages.json", "vectors.npy"


def pages_bytes(pages: Iterable[Page]) -> bytes:
    """Pages as the JSON object that :func:`finqa_lab.finqa.pages.read_pages` reads, by page id; also what is hashed."""
    content = {
        page.filename: {"pre_text": page.pre_text, "post_text": page.post_text, "table": page.table}
        for page in sorted(pages, key=lambda page: page.filename)
    }
    return (json.dumps(content, ensure_ascii=False, indent=0) + "\n").encode()


class Index:
    """Pages, searched by sparse, dense, page and row-name scores.

    Pages are kept in the order of their ids, so that an index that grew equals one built at once.

    Args:
        pages: may be empty.
        encoder: for the dense part; it is not stored, only its name and the vectors.
        chunker: how pages are cut.
        analyzer: how texts become terms.

    Raises:
        CourseError: when a page is there twice.
    """

    def __init__(
        self,
        pages: Iterable[Page],
        encoder: Encoder,
        chunker: Chunker | None = None,
        analyzer: Analyzer | None = None,
    ):
        self.encoder = encoder
        self.chunker, self.analyzer = chunker or Chunker(), analyzer or Analyzer()
        self._pages: dict[str, Page] = {}
        self._chunks: dict[str, list[Chunk]] = {}
        self._vectors: dict[str, np.ndarray] = {}
        self._search: HybridSearch | None = None
        self.add(pages)

    def __len__(self) -> int:
        """Number of chunks."""
        return sum(map(len, self._chunks.values()))

    @property
    def pages(self) -> dict[str, Page]:
        """Its pages by id, in the order of the ids."""
        return {name: self._pages[name] for name in sorted(self._pages)}

    def add(self, pages: Iterable[Page]) -> None:
        """Add pages; only their chunks are encoded.

        Raises:
            CourseError: when a page is there already, or twice among the new ones; then none is added.
        """
        new: dict[str, Page] = {}
        for page in pages:
            if page.filename in self._pages or page.filename in new:
                raise CourseError(f"page {page.filename} is there twice; delete it before adding another version")
            new[page.filename] = page
        chunks = {name: self.chunker.chunks(page) for name, page in new.items()}
        texts = [chunk.text for found in chunks.values() for chunk in found]
        if not texts:
            return
        ends = np.cumsum([len(found) for found in chunks.values()])[:-1]
        vectors = dict(zip(chunks, np.split(np.asarray(self.encoder.encode(texts), dtype=np.float32), ends)))
        self._hold(new, chunks, vectors)

    def delete(self, names: Iterable[str]) -> None:
        """Delete pages by id.

        Raises:
            CourseError: when there is no such page; then none is deleted.
        """
        names = set(names)
        unknown = sorted(names - set(self._pages))
        if unknown:
            raise CourseError(f"page {unknown[0]} is not in the index of {len(self._pages)} pages; nothing was deleted")
        for name in names:
            del self._pages[name], self._chunks[name], self._vectors[name]
        self._search = None

    def search(self, question: str, k: int = 10, weights: Weights = CORPUS) -> list[Hit]:
        """The k best chunks, best first; all of them when there are fewer.

        Raises:
            CourseError: when the question is blank, k < 1, or the index holds no term.
        """
        return self.hybrid().search(question, k, weights)

    def hybrid(self) -> HybridSearch:
        """What searches the pages of now; made again after pages were added or deleted.

        Raises:
            CourseError: when the index holds no term.
        """
        if self._search is None:
            chunks = [chunk for name in self.pages for chunk in self._chunks[name]]
            self._search = HybridSearch(chunks, self.encoder, self.analyzer, DenseIndex(self._stacked()))
        return self._search

    def manifest(self) -> dict:
        """What the index was made of: settings, the encoder's name, a hash of the pages, counts."""
        return {
            "format": FORMAT,
            "chunker": self.chunker.settings(),
            "analyzer": asdict(self.analyzer),
            "encoder": self.encoder.name,
            "dimension": int(self.encoder.dimension),
            "data": sha256_bytes(pages_bytes(self._pages.values())),
            "pages": len(self._pages),
            "chunks": len(self),
        }

    @property
    def bytes(self) -> int:
        """Size of the files that :meth:`save` writes, the manifest aside."""
        return sum(map(len, self._files().values()))

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the index; the manifest comes last, so that an interrupted writing is noticed when it is opened.

        Raises:
            CourseError: when a file cannot be written.
        """
        folder = Path(folder)
        files = self._files()
        for name, content in files.items():
            write_atomic(folder / name, content)
        listed = {name: {"sha256": sha256_bytes(content), "bytes": len(content)} for name, content in files.items()}
        write_atomic(folder / MANIFEST, json.dumps(self.manifest() | {"files": listed}, indent=1) + "\n")
        return folder

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike,
        encoder: Encoder,
        chunker: Chunker | None = None,
        analyzer: Analyzer | None = None,
        pages: Iterable[Page] | None = None,
    ) -> "Index":
        """Open what :meth:`save` wrote.

        Args:
            folder: with ``manifest.json``.
            encoder: must be the one that it was made with; questions are encoded by it.
            chunker: expected settings, default :class:`~finqa_lab.retrieve.chunks.Chunker`.
            analyzer: expected, default :class:`~finqa_lab.retrieve.analysis.Analyzer`.
            pages: when given, the index must hold exactly these.

        Raises:
            CourseError: when a file is missing or damaged, or the index was made with another encoder, chunker,
                analyzer or from other pages; the message names which.
        """
        folder = Path(folder)
        found = read_json(folder / MANIFEST, "the index's manifest")
        expected = cls([], encoder, chunker, analyzer)
        names = ("format", "chunker", "analyzer", "encoder", "dimension")
        wanted = {name: expected.manifest()[name] for name in names}
        if pages is not None:
            wanted["data"] = sha256_bytes(pages_bytes(pages))
        for name, value in wanted.items():
            if not isinstance(found, dict) or found.get(name) != value:
                has = found.get(name) if isinstance(found, dict) else None
                raise CourseError(
                    f"the index in {folder} was made with another {name} ({has}, wanted {value}); build it again"
                )
        contents = _checked_files(folder, found)
        stored = read_pages(folder / PAGES)
        chunks = {name: expected.chunker.chunks(page) for name, page in stored.items()}
        try:
            vectors = np.load(io.BytesIO(contents[VECTORS]), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise CourseError(f"{folder / VECTORS} is no array ({error}); build the index again") from error
        count = sum(map(len, chunks.values()))
        if vectors.shape != (count, encoder.dimension):
            raise CourseError(
                f"{folder / VECTORS} does not hold {count} vectors of {encoder.dimension}; build it again"
            )
        ends = np.cumsum([len(cut) for cut in chunks.values()])[:-1]
        expected._hold(stored, chunks, dict(zip(chunks, np.split(vectors, ends))))
        return expected

    def _hold(self, pages: dict[str, Page], chunks: dict[str, list[Chunk]], vectors: dict[str, np.ndarray]) -> None:
        self._pages |= pages
        self._chunks |= chunks
        self._vectors |= vectors
        self._search = None

    def _stacked(self) -> np.ndarray:
        parts = [self._vectors[name] for name in self.pages]
        return np.concatenate(parts) if parts else np.zeros((0, self.encoder.dimension), dtype=np.float32)

    def _files(self) -> dict[str, bytes]:
        stream = io.BytesIO()
        np.save(stream, self._stacked(), allow_pickle=False)
        return {PAGES: pages_bytes(self._pages.values()), VECTORS: stream.getvalue()}


def _checked_files(folder: Path, manifest: dict) -> dict[str, bytes]:
    contents = {}
    for name in (PAGES, VECTORS):
        try:
            contents[name] = (folder / name).read_bytes()
            listed = manifest["files"][name]["sha256"]
        except (OSError, KeyError, TypeError) as error:
            raise CourseError(f"the index in {folder} lacks {name} ({error!r}); build it again") from None
        if sha256_bytes(contents[name]) != listed:
            raise CourseError(f"{folder / name} is damaged: its sha256 is not the manifest's; build the index again")
    return contents
