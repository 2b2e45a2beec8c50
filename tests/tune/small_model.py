"""A model folder and conversations for tests of fine-tuning: made in a second, from nothing."""

import json
import random
from pathlib import Path

from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.hub import save_pretrained
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.tokenizer import END, TEMPLATE, train_tokenizer

LINES = [
    f"{a} plus {b} is {a + b}. What is the total of {a} and {b}?" for a in range(2, 60, 3) for b in range(1, 40, 7)
]


def make_base(folder: Path, seed: int = 0, template: str | None = TEMPLATE.source) -> Path:
    """A random decoder with a tokenizer and a chat template."""
    tokenizer = train_tokenizer(LINES, 300)
    vocabulary = tokenizer.get_vocab_size()
    config = DecoderConfig.llama(vocabulary, 64, 2, 4, 128, 64, kv_heads=2, tied=True)
    end = tokenizer.token_to_id(END)
    return save_pretrained(folder, Decoder(config, seed=seed), tokenizer, [end], chat_template=template)


def make_conversations(path: Path, count: int = 24, long: int = 0) -> Path:
    """Sums as conversations, the last ``long`` of them longer than the model's context."""
    rng, lines = random.Random(0), []
    for number in range(count):
        a, b = rng.randint(1, 60), rng.randint(1, 60)
        question = f"{a} plus {b}?" + " and so on" * (40 if number >= count - long else rng.randint(0, 2))
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": str(a + b)}]
        lines.append(json.dumps({"id": f"sum-{number}", "messages": messages}))
    path.write_text("\n".join(lines) + "\n")
    return path
