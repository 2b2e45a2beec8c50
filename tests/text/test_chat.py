"""Prompts are those of transformers, byte for byte; a template from a stranger cannot reach Python."""

import json

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.pretrain.tokenizer import TEMPLATE
from finqa_lab.text.chat import ChatTemplate, load_chat_template

CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA2 = """{%- if messages[0]['role'] == 'system' %}
    {%- set rules = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must take turns') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- bos_token + '[INST] ' + (rules if loop.first and rules is defined else '') }}
        {{- message['content'] | trim + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message['content'] | trim + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}"""
TOJSON = "{% for m in messages %}{{ m | tojson }}\n{% if loop.last %}{% break %}{% endif %}{% endfor %}"
SPECIALS = {"bos_token": "<s>", "eos_token": "</s>"}
TALKS = [
    [{"role": "user", "content": "What is 5% of $1,200?\n\n  (<b>bold</b> & 'quoted')"}],
    [
        {"role": "system", "content": " Be brief. "},
        {"role": "user", "content": "Größe? 日本語 \u2028 {{ 7*7 }}"},
        {"role": "assistant", "content": '{"answer": 60}'},
        {"role": "user", "content": "why"},
    ],
]


@pytest.mark.parametrize("source", [CHATML, LLAMA2, TOJSON, TEMPLATE.source])
@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("reply", [False, True])
def test_the_text_is_that_of_transformers(source, talk, reply):
    from transformers.utils.chat_template_utils import render_jinja_template

    expected, _ = render_jinja_template([talk], chat_template=source, add_generation_prompt=reply, **SPECIALS)
    assert ChatTemplate(source, SPECIALS).render(talk, reply=reply) == expected[0]


def test_a_template_that_reaches_for_python_is_stopped():
    for attack in (
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('true') }}",
        "{{ messages.append(1) }}",
    ):
        with pytest.raises(CourseError, match="does not take these messages"):
            ChatTemplate(attack).render(TALKS[0])


def test_a_refusal_of_the_template_is_one_sentence():
    with pytest.raises(CourseError, match="roles must take turns"):
        ChatTemplate(LLAMA2, SPECIALS).render([{"role": "assistant", "content": "hello"}])


def test_a_folder_gives_its_template_and_special_tokens(tmp_path):
    values = {"chat_template": CHATML, "eos_token": {"content": "</s>"}, "bos_token": None, "pad_token": "<pad>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(values))
    found = load_chat_template(tmp_path)
    assert found.source == CHATML and found.specials == {"eos_token": "</s>", "pad_token": "<pad>"}
    (tmp_path / "chat_template.jinja").write_text("own file")
    assert load_chat_template(tmp_path).source == "own file"


@pytest.mark.parametrize("values, problem", [({}, "no chat template"), ({"chat_template": [{"name": "a"}]}, "several")])
def test_a_folder_without_one_template_is_refused(tmp_path, values, problem):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(values))
    with pytest.raises(CourseError, match=problem):
        load_chat_template(tmp_path)
