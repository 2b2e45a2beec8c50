"""GGUF: llama.cpp and transformers compute from the file what our decoder computes from the folder."""

import json
import socket
import subprocess
import sys
import urllib.request

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.nn.rope_scaling import RopeScaling
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.formats import gguf_file
from finqa_lab.tune.formats.gguf_file import KINDS, chat_template, folder_to_gguf, interleaved, write_gguf
from finqa_lab.tune.formats.llama_server import post, serving
from tests.tune.formats import small

gguf = pytest.importorskip("gguf", reason="gguf is not installed")
pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
PROMPT, END = "Revenue rose", small.tokenizer().token_to_id(small.END)
PLACES = {"digits single, tied": (DecoderConfig.llama(384, 64, 2, 4, 128, 96), "single")}
PLACES |= {"wide heads": (DecoderConfig.llama(384, 64, 2, 2, 128, 96, head_dim=48, rope_theta=500.0), "left")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small.folder(tmp_path_factory.mktemp("gguf") / "model", template=small.TEMPLATE.source)


@pytest.fixture(scope="module")
def files(folder):
    return {kind: folder_to_gguf(folder, folder.parent / f"{kind}.gguf", kind) for kind in KINDS}


def written(address, prompt=PROMPT, steps=24):
    body = {"prompt": prompt, "max_tokens": steps, "temperature": 0}
    return post(address, "/v1/completions", body)["choices"][0]["text"]


def test_llama_cpp_writes_the_text_that_our_decoder_writes(folder, files):
    expected = small.greedy_text(folder, PROMPT)
    assert len(expected) > 20
    for path in files.values():
        with serving(path) as address:
            assert written(address) == expected, path.name


@pytest.mark.parametrize("name", PLACES)
def test_other_shapes_and_the_other_rule_for_digits(name, tmp_path):
    config, digits = PLACES[name]
    model = small.folder(tmp_path / "model", config, digits)
    with serving(folder_to_gguf(model, tmp_path / "model.gguf")) as address:
        assert written(address) == small.greedy_text(model, PROMPT)


@pytest.mark.parametrize("digits", ["left", "single"])
def test_llama_cpp_cuts_text_as_the_tokenizer_does(digits, tmp_path):
    texts = [
        small.TEXT,
        "1234567.89",
        "a\n\n  b \t c",
        " 's 'LL don't",
        "naïve ½ 漢字 🙂",
        "x" * 70,
        small.END,
        "  \r\n\r\n x",
    ]
    path = write_gguf(tmp_path / "m.gguf", Decoder(small.CONFIG), small.tokenizer(digits), [0])
    with serving(path) as address:
        for text in texts:
            body = {"content": text, "parse_special": True}
            assert post(address, "/tokenize", body)["tokens"] == small.tokenizer(digits).encode(text).ids, text


def test_transformers_computes_from_the_file_what_it_computes_from_the_folder(folder, files):
    from transformers import AutoModelForCausalLM

    tokens = torch.tensor([small.tokenizer().encode(small.TEXT).ids[:40]])
    ours = AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
    torch.testing.assert_close(ours, load_pretrained(folder).model(tokens), rtol=0, atol=1e-5)
    far = {"F32": 1e-6, "F16": 2e-2, "Q8_0": 0.5}  # logits go from -6 to 15
    for kind, path in files.items():
        theirs = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        torch.testing.assert_close(theirs(tokens).logits, ours, rtol=0, atol=far[kind], msg=kind)


def test_without_the_permutation_the_file_loads_and_writes_something_else(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_file, "interleaved", lambda matrix, heads: matrix)
    with serving(folder_to_gguf(folder, tmp_path / "m.gguf")) as address:
        assert written(address) != small.greedy_text(folder, PROMPT)


def test_the_permutation_keeps_the_products_of_queries_and_keys():
    query, key = torch.randn(2, 64, 32), torch.randn(2, 64, 32)
    before = torch.einsum("bri,brj->bij", query, key)
    after = torch.einsum("bri,brj->bij", *(torch.stack([interleaved(m, 4) for m in x]) for x in (query, key)))
    torch.testing.assert_close(before, after)
    assert not torch.equal(interleaved(query[0], 4), query[0])


def test_the_chat_template_travels(folder, files):
    messages = [{"role": "user", "content": "Revenue?"}, {"role": "assistant", "content": "12"}]
    messages.append({"role": "user", "content": PROMPT})
    with serving(files["F16"]) as address:
        rendered = post(address, "/apply-template", {"messages": messages})["prompt"]
        with urllib.request.urlopen(address + "/props") as answer:
            facts = json.load(answer)
    assert rendered == small.TEMPLATE.render(messages, reply=True)
    assert facts["chat_template"] == small.TEMPLATE.source and facts["eos_token"] == small.END


def test_a_reply_is_what_our_decoder_replies(folder, files):
    messages = [{"role": "user", "content": "Revenue?"}]
    expected = small.greedy_text(folder, small.TEMPLATE.render(messages, reply=True))
    assert expected == " The board declared dividends."
    with serving(files["F32"]) as address:
        body = {"messages": messages, "max_tokens": 24, "temperature": 0}
        reply = post(address, "/v1/chat/completions", body)["choices"][0]
    assert (reply["message"]["content"], reply["finish_reason"]) == (expected, "stop")


def test_a_folder_without_a_template_gives_a_file_without(tmp_path):
    plain = small.folder(tmp_path / "model")
    assert chat_template(plain) is None
    keys = gguf.GGUFReader(folder_to_gguf(plain, tmp_path / "m.gguf")).fields
    assert "tokenizer.chat_template" not in keys and not keys["tokenizer.ggml.add_bos_token"].contents()
    with serving(tmp_path / "m.gguf") as address:  # which invents one
        rendered = post(address, "/apply-template", {"messages": [{"role": "user", "content": "a"}]})["prompt"]
    assert "<|im_start|>user" in rendered
    (plain / "chat_template.jinja").write_text("{{ 1 }}")
    assert chat_template(plain) == "{{ 1 }}"


def test_the_sizes_are_what_the_kinds_say(files):
    bits = {"F32": 32, "F16": 16, "Q8_0": 8.5}
    for kind, path in files.items():
        for tensor in gguf.GGUFReader(path).tensors:
            wanted = 32 if "norm" in tensor.name else bits[kind]
            assert tensor.n_bytes * 8 == tensor.n_elements * wanted, (kind, tensor.name)


def test_nobody_listens_behind_the_block(files):
    with serving(files["F32"]) as address:
        assert address.startswith("http://127.0.0.1:")
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1):
        pass
    with pytest.raises(CourseError, match="nobody answers at http://127.0.0.1"):
        post(address, "/tokenize", {"content": ""})


def test_a_server_that_was_asked_nothing_closes_every_time(files):
    """llama.cpp's server waits forever when it is stopped before its main loop runs; here, about once in 50 times."""
    code = "import sys; from finqa_lab.tune.formats.llama_server import serving\n"
    code += "for _ in range(150):\n    with serving(sys.argv[1]): pass"
    subprocess.run([sys.executable, "-c", code, str(files["F32"])], check=True, timeout=60)


def test_a_block_that_fails_closes_the_server_too(files):
    with pytest.raises(ZeroDivisionError):
        with serving(files["F32"]) as address:
            raise ZeroDivisionError(address)
    with pytest.raises(CourseError, match="nobody answers"):
        post(address, "/tokenize", {"content": ""})


def test_what_llama_cpp_cannot_load_is_one_sentence(files, tmp_path):
    with pytest.raises(CourseError, match="cannot be read"), serving(tmp_path / "none.gguf"):
        pass
    (tmp_path / "other.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(CourseError, match="is no GGUF file"), serving(tmp_path / "other.gguf"):
        pass
    (tmp_path / "cut.gguf").write_bytes(files["F32"].read_bytes()[:9000])
    with pytest.raises(CourseError, match="llama.cpp does not load"), serving(tmp_path / "cut.gguf"):
        pass
    with serving(files["F32"]) as address, pytest.raises(CourseError, match="answers /v1/nothing with 404"):
        post(address, "/v1/nothing", {})


BASE = DecoderConfig.llama(384, 64, 1, 4, 128, 96)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (DecoderConfig.llama(384, 64, 1, 4, 128, 96, rope_scaling=RopeScaling("linear", 2.0)), {}, "rope_scaling"),
        (DecoderConfig.llama(384, 64, 1, 4, 128, 96, window=8), {}, "decoder window is 8"),
        (DecoderConfig(384, 64, 1, 4, 128, 96), {}, "decoder mlp is 'relu'"),
        (DecoderConfig.llama(384, 64, 1, 4, 100, 96), {"kind": "Q8_0"}, "decoder hidden is 100; Q8_0 takes"),
        (BASE, {"kind": "Q4_K"}, "kind 'Q4_K' of GGUF is not written here"),
        (BASE, {"eos": []}, "with none, llama.cpp would take token 11"),
        (BASE, {"eos": [384]}, "is not in the vocabulary of 384"),
        (
            BASE,
            {"tokenizer": small.tokenizer("right")},
            "has no name in llama.cpp; train one with the digits left, single",
        ),
        (DecoderConfig.llama(100, 64, 1, 4, 128, 96), {"eos": [1]}, "has ids up to"),
    ],
)
def test_what_the_format_has_no_place_for_is_refused(config, settings, message, tmp_path):
    given = {"tokenizer": small.tokenizer(), "eos": [END]} | settings
    with pytest.raises(CourseError, match=message):
        write_gguf(tmp_path / "m.gguf", Decoder(config), **given)
    assert not list(tmp_path.iterdir())


def test_weights_beyond_float16_are_refused_and_leave_no_file(tmp_path):
    model = Decoder(BASE)
    with torch.no_grad():
        model.blocks[0].mlp.up.weight[0, 0] = 1e6
    with pytest.raises(CourseError, match="'blocks.0.mlp.up.weight' has a weight beyond the range of float16"):
        write_gguf(tmp_path / "m.gguf", model, small.tokenizer(), [END], "F16")
    assert not list(tmp_path.iterdir())


def test_without_the_packages_one_sentence_says_so(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(CourseError, match=r'gguf, which is not installed; run `pip install "finqa-lab\[gguf\]"`'):
        write_gguf(tmp_path / "m.gguf", Decoder(BASE), small.tokenizer(), [END])
    with pytest.raises(CourseError, match="xllamacpp, which is not installed"), serving(files["F32"]):
        pass
