"""Tokenizers from scratch: byte-level BPE, Unigram and characters, and what it takes to serve them safely.

Reading order: :mod:`~finqa_lab.text.recount` (BPE in its plainest form), :mod:`~finqa_lab.text.pretokenize`,
:mod:`~finqa_lab.text.bpe_training`, :mod:`~finqa_lab.text.bpe`, :mod:`~finqa_lab.text.huggingface`,
:mod:`~finqa_lab.text.unigram`, :mod:`~finqa_lab.text.unigram_training`, :mod:`~finqa_lab.text.vocabulary`,
:mod:`~finqa_lab.text.compatibility`. Nothing here imports torch; embedding rows may be numpy arrays or torch
tensors.
"""

from finqa_lab.text.bpe import ByteLevelBPE
from finqa_lab.text.bpe_training import train_bpe, train_merges
from finqa_lab.text.characters import CharacterTokenizer
from finqa_lab.text.compatibility import fingerprint, require_same_tokenizer
from finqa_lab.text.huggingface import load_tokenizer, save_tokenizer, to_tiktoken
from finqa_lab.text.pretokenize import PreSplit
from finqa_lab.text.unigram import Unigram
from finqa_lab.text.unigram_training import train_unigram
from finqa_lab.text.vocabulary import extend_embeddings, extend_vocabulary, propose_words

__all__ = [
    "ByteLevelBPE",
    "CharacterTokenizer",
    "PreSplit",
    "Unigram",
    "extend_embeddings",
    "extend_vocabulary",
    "fingerprint",
    "load_tokenizer",
    "propose_words",
    "require_same_tokenizer",
    "save_tokenizer",
    "to_tiktoken",
    "train_bpe",
    "train_merges",
    "train_unigram",
]
