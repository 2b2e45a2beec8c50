"""A tokenizer for general English prose: what a model comes with, before anyone thought of finance.

``data/text/general_tokenizer.json`` is a byte-level BPE of 4,000 ids trained on the help topics of Python
3.11 (``pydoc_data.topics``), technical prose of about 465 kB that every Python ships. Lab 01 extends it with
financial words. ``python -m finqa_lab.text.general`` writes it again; other Python versions have other
topics, and so other merges.
"""

from finqa_lab.files import data_path, register_data
from finqa_lab.text.bpe import ByteLevelBPE
from finqa_lab.text.bpe_training import train_bpe
from finqa_lab.text.huggingface import load_tokenizer, to_json

GENERAL = "text/general_tokenizer.json"
END = "<|end|>"
COMMAND = "python -m finqa_lab.text.general (with Python 3.11.7)"


def general_tokenizer() -> ByteLevelBPE:
    """The shipped tokenizer, its file compared with the manifest; 4,000 ids, the last of them ``<|end|>``."""
    return load_tokenizer(data_path(GENERAL))


def main() -> None:
    """Train on the help topics and write the file and its manifest line."""
    from pydoc_data.topics import topics  # only needed here; the tokenizer itself is shipped

    tokenizer = train_bpe([topics[name] for name in sorted(topics)], 4000, specials=[END])
    path = register_data(GENERAL, to_json(tokenizer).encode("utf-8"), COMMAND)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
