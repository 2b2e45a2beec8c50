"""Model folders against transformers, both ways: logits, gradients, greedy text, padding, dtypes, tokenizers."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache

from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.hub import load_pretrained, save_pretrained
from finqa_lab.nn.hub_weights import hub_name
from finqa_lab.nn.rope_scaling import RopeScaling
from finqa_lab.nn.transformer import Decoder
from tests.nn.hub_samples import CASES, ids, refused, small, theirs

TEXTS = ["Revenue rose 12% to $3,456 in 2019.", "Net income was 78.9 million; costs fell.", "Σ = £5 — naïve café"]
every_case = pytest.mark.parametrize("name", CASES)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@every_case
def test_logits_gradients_and_text_equal_transformers(tmp_path, name):
    reference, tokens = theirs(name), ids(3, 31)
    reference.save_pretrained(tmp_path)
    loaded = load_pretrained(tmp_path)
    model = loaded.model
    assert loaded.tokenizer is None and loaded.eos == () and not model.training

    logits, expected = model(tokens), reference(tokens).logits
    close(logits, expected)
    pull = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    logits.backward(pull)
    expected.backward(pull)
    wanted = {where: parameter.grad for where, parameter in reference.named_parameters()}
    for where, parameter in model.named_parameters():
        gradient = wanted.pop(hub_name(where))
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5 * gradient.abs().max().item())
    assert not wanted

    prompts = tokens[:, :12]
    for cached in (True, False):  # under dynamic scaling the two differ: cached keys keep the angles they had
        # read anew, as transformers keeps the frequencies of the longest sequence it has seen
        reference = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="sdpa")
        settings = {"max_new_tokens": 24, "do_sample": False, "use_cache": cached}
        text = reference.generate(prompts, attention_mask=torch.ones_like(prompts), **settings)
        assert torch.equal(greedy(model, prompts, 24, use_cache=cached), text[:, 12:])


@every_case
@pytest.mark.parametrize("shard", [10**9, 9000], ids=["one file", "shards"])
def test_written_folder_loads_in_transformers(tmp_path, shard, name):
    theirs(name).save_pretrained(tmp_path / "theirs", max_shard_size=shard)
    first = load_pretrained(tmp_path / "theirs").model
    save_pretrained(tmp_path / "ours", first, max_shard_bytes=shard, eos=[7, 9])
    assert os.listdir(tmp_path / "ours").count("model.safetensors") == (shard == 10**9)
    again, tokens = load_pretrained(tmp_path / "ours"), ids(2, 31)
    assert again.model.config == first.config and again.eos == (7, 9)
    reference, report = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    assert reference.config.eos_token_id == [7, 9] and reference.config.bos_token_id is None
    close(again.model(tokens), reference(tokens).logits)
    for where, parameter in first.named_parameters():
        assert torch.equal(parameter, reference.get_parameter(hub_name(where)))


def test_shards_keep_to_the_limit(tmp_path):
    model = Decoder(small())
    save_pretrained(tmp_path / "a", model, max_shard_bytes=4000)
    sizes = {path.name: [t.nbytes for t in load_file(path).values()] for path in tmp_path.glob("a/*.safetensors")}
    assert all(sum(parts) <= 4000 or len(parts) == 1 for parts in sizes.values()) and len(sizes) > 4
    index = json.loads((tmp_path / "a" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(sizes)
    assert index["metadata"]["total_size"] == sum(map(sum, sizes.values())) == 4 * model.parameter_count()


@pytest.mark.parametrize("least", [0, 2], ids=["one row unpadded", "all rows padded"])
@pytest.mark.parametrize("name", ["grouped heads", "dynamic", "window"])
def test_left_padded_batch_equals_transformers(tmp_path, name, least):
    """A pass over 12 positions with up to 10 of padding, then one by one to 24: beyond window and pretraining."""
    reference = theirs(name)
    reference.save_pretrained(tmp_path)
    model = load_pretrained(tmp_path).model
    padding, tokens = torch.tensor([least, 3, 10]), ids(3, 24)
    mask = (torch.arange(24) >= padding[:, None]).long()
    positions = (torch.arange(24) - padding[:, None]).clamp(min=0)

    def expected(begin, end, past=None):
        return reference(
            tokens[:, begin:end],
            attention_mask=mask[:, :end],
            position_ids=positions[:, begin:end],
            past_key_values=past,
        )

    real = mask.bool()
    with torch.no_grad():
        cache, past = ContiguousCache(model.config, batch=3), DynamicCache(config=reference.config)
        for begin, end in [(0, 12), *((t, t + 1) for t in range(12, 24))]:
            found = model(tokens[:, begin:end], cache=cache, padding=padding)
            here = real[:, begin:end]
            close(found[here], expected(begin, end, past).logits[here])
        close(model(tokens, padding=padding)[real], expected(0, 24).logits[real])


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16])
def test_weights_are_cast(tmp_path, stored, wanted):
    model = Decoder(small())
    save_pretrained(tmp_path / "a", model, dtype=stored)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    assert reference.dtype == AutoConfig.from_pretrained(tmp_path / "a").dtype == stored
    loaded = load_pretrained(tmp_path / "a", dtype=wanted).model
    for name, parameter in model.named_parameters():
        assert torch.equal(loaded.get_parameter(name), parameter.to(stored).to(wanted))
        assert loaded.get_parameter(name).requires_grad


def test_fixed_ntk_scaling_is_written_as_its_base(tmp_path):
    model = Decoder(small(rope_scaling=RopeScaling("ntk", 3.0)))
    save_pretrained(tmp_path / "a", model)
    loaded, tokens = load_pretrained(tmp_path / "a").model, ids(2, 30)
    assert loaded.config.rope_scaling is None and loaded.config.rope_theta > 10_000
    assert torch.equal(loaded(tokens), model(tokens))
    close(AutoModelForCausalLM.from_pretrained(tmp_path / "a")(tokens).logits, model(tokens))


def byte_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ("</s>", "<pad>")])
    return tokenizer


@pytest.mark.parametrize("window", [0, 8], ids=["llama", "mistral"])
def test_tokenizer_travels_with_the_model(tmp_path, window):
    tokenizer = byte_tokenizer()
    end, size = tokenizer.token_to_id("</s>"), tokenizer.get_vocab_size()
    save_pretrained(tmp_path / "a", Decoder(small(vocabulary=size, window=window)), tokenizer, eos=[end])
    loaded, wrapped = load_pretrained(tmp_path / "a"), AutoTokenizer.from_pretrained(tmp_path / "a")
    assert loaded.eos == (end,) and wrapped.eos_token_id == end and wrapped.model_max_length == 32
    for text in [*TEXTS, "a</s>b <pad> , c n't", " 's  \n"]:
        expected = tokenizer.encode(text).ids
        assert loaded.tokenizer.encode(text).ids == wrapped(text)["input_ids"] == expected
        assert wrapped.decode(expected) == tokenizer.decode(expected, skip_special_tokens=False)


def test_end_token_that_is_ordinary_text_stays_ordinary(tmp_path):
    tokenizer = byte_tokenizer()
    end = tokenizer.token_to_id("s")
    save_pretrained(tmp_path / "a", Decoder(small(vocabulary=310)), tokenizer, eos=[end])
    wrapped = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert wrapped(TEXTS[1])["input_ids"] == tokenizer.encode(TEXTS[1]).ids and wrapped.eos_token is None


def test_tokenizer_larger_than_the_embedding_is_refused(tmp_path):
    tokenizer = byte_tokenizer()
    size = tokenizer.get_vocab_size()
    says = rf"the tokenizer has {size} tokens with ids up to {size - 1}, but the embedding has {size - 1} rows"
    refused(says, save_pretrained, tmp_path / "a", Decoder(small(vocabulary=size - 1)), tokenizer)
    assert not (tmp_path / "a").exists()
    save_pretrained(tmp_path / "a", Decoder(small(vocabulary=size - 1)))
    tokenizer.save(str(tmp_path / "a" / "tokenizer.json"))
    refused(says, load_pretrained, tmp_path / "a")


def test_few_tokens_with_a_high_id_are_refused(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 99}, unk_token="a"))
    says = "2 tokens with ids up to 99, but the embedding has 61 rows"
    refused(says, save_pretrained, tmp_path / "a", Decoder(small()), tokenizer)
