"""The mask marks what the assistant wrote and nothing else, token by token."""

import pytest
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.pretrain.tokenizer import END, TEMPLATE, train_tokenizer
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.text.chat import ChatTemplate
from finqa_lab.tune.sft import encode, encode_all

CHATML = ChatTemplate(
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def samples():
    return dataset(0, {"train": 60, "validation": 0, "phrasing": 0}).train


@pytest.fixture(scope="module")
def tokenizer(samples) -> Tokenizer:
    return train_tokenizer([message["content"] for s in samples for message in s.messages("program")], 600)


@pytest.mark.parametrize("target", ["number", "program", "reasoning"])
@pytest.mark.parametrize("template, end", [(TEMPLATE, END), (CHATML, "<|im_end|>")])
def test_the_learnt_tokens_are_the_reply_and_its_end(samples, tokenizer, target, template, end):
    for sample in samples:
        example = encode(sample.messages(target), tokenizer, template, sample.id)
        reply = sample.messages(target)[-1]["content"]
        assert tokenizer.decode(list(example.answer), skip_special_tokens=False) == reply + end
        first = example.learn.index(True)
        prompt = tokenizer.decode(list(example.ids[:first]), skip_special_tokens=False)
        assert prompt == template.render(sample.messages(target)[:-1], reply=True)


def test_every_turn_of_the_assistant_is_learnt(tokenizer):
    talk = [
        {"role": "user", "content": "A or B?"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "A again?"},
        {"role": "assistant", "content": "no, B"},
    ]
    example = encode(talk, tokenizer, TEMPLATE)
    assert tokenizer.decode(list(example.answer), skip_special_tokens=False) == f"A{END}no, B{END}"


@pytest.mark.parametrize(
    "talk, problem",
    [
        ([{"role": "user", "content": "?"}], "no turn of sample x is the assistant's"),
        ([{"role": "user", "content": "?"}, {"role": "assistant", "content": " "}], "turn 1 of sample x is empty"),
    ],
)
def test_a_conversation_without_a_reply_is_refused(tokenizer, talk, problem):
    with pytest.raises(CourseError, match=problem):
        encode(talk, tokenizer, TEMPLATE, "x")


def test_a_template_that_rewrites_the_prompt_is_refused(tokenizer):
    rewriting = ChatTemplate("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}")
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "yes"}]
    with pytest.raises(CourseError, match="does not continue the text"):
        encode(talk, tokenizer, rewriting)


def test_a_token_across_the_border_is_refused(tokenizer):
    joined = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    talk = [{"role": "user", "content": "subt"}, {"role": "assistant", "content": "ract"}]
    assert tokenizer.encode("subtract").tokens == ["s", "ubtract"]
    with pytest.raises(CourseError, match="covers the end of the prompt and the start of the reply"):
        encode(talk, tokenizer, joined)


def test_long_samples_are_counted_and_never_cut(samples, tokenizer):
    talks = [(sample.id, sample.messages("program")) for sample in samples]
    whole = encode_all(talks, tokenizer, TEMPLATE, 10_000)
    lengths = sorted(len(example.ids) for example in whole.examples)
    part = encode_all(talks, tokenizer, TEMPLATE, lengths[40])
    assert whole.report(10_000) == "all 60 samples fit 10000 tokens" and whole.share_too_long == 0
    assert [len(e.ids) for e in part.examples] == [
        n for n in map(len, (e.ids for e in whole.examples)) if n <= lengths[40]
    ]
    assert len(part.examples) + len(part.too_long) == 60 and part.share_too_long > 0
    assert "were left out (the longest, " in part.report(lengths[40]) and str(lengths[-1]) in part.report(lengths[40])
    with pytest.raises(CourseError, match="all 60 samples are longer than 5 tokens"):
        encode_all(talks, tokenizer, TEMPLATE, 5)
