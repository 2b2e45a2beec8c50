"""A small model with a tokenizer of its own, as a folder in the Hugging Face layout."""

import functools

import torch
import transformers
from tokenizers import Tokenizer

from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.hub import load_pretrained, save_pretrained
from finqa_lab.nn.language import train_language_model
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.tokenizer import END, SPECIALS, TEMPLATE
from finqa_lab.text.bpe_training import train_bpe
from finqa_lab.text.huggingface import to_json
from finqa_lab.text.pretokenize import PreSplit

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

TEXT = (
    "Revenue rose by 12.5% in 2019, from $ 1,234 million to $ 1,388 million. Net income fell; the company's margin was "
    "8.1%.\nIn 2018, the board declared dividends of $ 0.25 a share.\n\nOperating expenses were $ 98765 thousand "
)
CONFIG = DecoderConfig.llama(384, 64, 2, 4, 128, 96, kv_heads=2, tied=False)


@functools.cache
def tokenizer(digits: str = "left") -> Tokenizer:
    """Some 370 ids; the model's last rows have no token."""
    return Tokenizer.from_str(to_json(train_bpe([TEXT * 3], 380, split=PreSplit(digits), specials=SPECIALS)))


FULL = DecoderConfig.llama(tokenizer().get_vocab_size(), 64, 2, 4, 128, 96, kv_heads=2, tied=False)
"""No row without a token."""


@functools.cache
def trained(config: DecoderConfig = CONFIG, digits: str = "left") -> Decoder:
    """Knows the text by heart, so that its most likely token is far ahead and rounding does not change it."""
    model = Decoder(config)
    talk = [{"role": "user", "content": "Revenue?"}, {"role": "assistant", "content": " The board declared dividends."}]
    ids = torch.tensor(tokenizer(digits).encode((TEXT + TEMPLATE.render(talk)) * 4).ids)
    train_language_model(model, ids, steps=80, batch=4, length=48, lr=1e-2)
    return model


def folder(path, config: DecoderConfig = CONFIG, digits: str = "left", template: str | None = None):
    end = tokenizer(digits).token_to_id(END)
    return save_pretrained(path, trained(config, digits), tokenizer(digits), [end], chat_template=template)


def greedy_text(path, prompt: str, steps: int = 24) -> str:
    """What our decoder writes on behind the prompt."""
    found = load_pretrained(path)
    ids = found.tokenizer.encode(prompt).ids
    new = generate(found.model, [ids], Stop(steps, frozenset(found.eos))).tokens[0]
    return found.tokenizer.decode([token for token in new if token not in found.eos])
