"""Replies of a model to conversations: the template applied, prompts batched by length, greedy by default."""

from collections.abc import Callable, Mapping, Sequence

from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.sampling import GREEDY, Sampling
from finqa_lab.nn.transformer import Decoder
from finqa_lab.text.chat import ChatTemplate, Messages


def replies(
    model: Decoder,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    conversations: Mapping[str, Messages],
    limit: int,
    *,
    end: Sequence[int] = (),
    batch: int = 50,
    sampling: Sampling = GREEDY,
    on_batch: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """What the model replies to each conversation.

    Args:
        model: in evaluation mode.
        tokenizer, template: of the model.
        conversations: messages by name; a last turn by the assistant is left out, because it is the answer.
        limit: most tokens of a reply; one that reaches it is cut there.
        end: ids that end a reply.
        batch: conversations that are answered at once.
        sampling: how the next token is chosen.
        on_batch: called with the conversations answered and their number in all.

    Returns:
        Text by name, special tokens left out.

    Raises:
        CourseError: when a prompt leaves no room for a reply in the context.
    """
    prompts = {}
    for name, messages in conversations.items():
        asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
        ids = tokenizer.encode(template.render(asked, reply=True), add_special_tokens=False).ids
        if len(ids) >= model.config.context:
            raise CourseError(
                f"the prompt of {name} has {len(ids)} tokens and leaves no room in a context of {model.config.context}"
            )
        prompts[name] = ids
    found = {}
    names = sorted(prompts, key=lambda name: len(prompts[name]))
    for begin in range(0, len(names), batch):
        chosen = names[begin : begin + batch]
        result = generate(model, [prompts[name] for name in chosen], Stop(limit, frozenset(end)), sampling)
        for name, ids in zip(chosen, result.tokens, strict=True):
            found[name] = tokenizer.decode(ids, skip_special_tokens=True)
        if on_batch is not None:
            on_batch(len(found), len(names))
    return {name: found[name] for name in conversations}
