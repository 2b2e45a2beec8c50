"""The base model's tokenizer: byte-level BPE with single digits, and the special tokens of its chat template.

One digit a token keeps place values apart (lab 01 measures what else happens). The template writes a token of the role
in front of each message and an end token behind it; documents end with the same token.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer

from finqa_lab.text.bpe_training import train_bpe
from finqa_lab.text.chat import ChatTemplate
from finqa_lab.text.huggingface import to_json
from finqa_lab.text.pretokenize import PreSplit

END = "<|end|>"
ROLES = ("system", "user", "assistant")
SPECIALS = (END, *(f"<|{role}|>" for role in ROLES))
VOCABULARY = 2048
TEMPLATE = ChatTemplate(
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    {"eos_token": END},
)
"""The chat template; ``<|system|>...<|end|><|user|>...<|end|><|assistant|>...<|end|>``."""


def train_tokenizer(documents: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
    """Train on documents, the special tokens left out of the text that is counted.

    Args:
        documents: text.
        vocabulary: ids, special tokens included.
    """

    def plain(text: str) -> str:
        for special in SPECIALS:
            text = text.replace(special, "\n")
        return text

    bpe = train_bpe(map(plain, documents), vocabulary, PreSplit("single"), specials=list(SPECIALS))
    return Tokenizer.from_str(to_json(bpe))
