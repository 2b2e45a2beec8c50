"""MLX's 4-bit layout: packed and read bit for bit without MLX; and what other programs make of it."""

import json
import shutil
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from finqa_lab.errors import CourseError
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.tune.formats import mlx_tools
from finqa_lab.tune.formats.gguf_file import chat_template, folder_to_gguf
from finqa_lab.tune.formats.llama_server import post, serving
from finqa_lab.tune.formats.mlx_layout import BITS, GROUPS, pack, quantize, read_mlx, unpack, write_dense
from tests.tune.formats import small

TOKENS = torch.tensor([small.tokenizer().encode(small.TEXT).ids[:40]])
QUERY = "model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def mlx():
    return pytest.importorskip("mlx.core", reason="mlx is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model folder, and what ``mlx_lm.convert -q`` makes of it."""
    pytest.importorskip("mlx_lm", reason="mlx-lm is not installed")
    root = tmp_path_factory.mktemp("mlx")
    return small.folder(root / "hf", template=small.TEMPLATE.source), mlx_tools.convert(root / "hf", root / "mlx")


@pytest.fixture
def copied(folders, tmp_path):
    return shutil.copytree(folders[1], tmp_path / "copied")


def changed(folder, **values):
    """The folder with keys of its config replaced, or taken out where None."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return folder


def with_mlx(mlx, weights, group, bits):
    """The three tensors and what is read back, all by MLX on the CPU, as torch tensors; uint32 as int64."""
    kind = getattr(mlx, str(weights.dtype).removeprefix("torch."))
    with mlx.stream(mlx.cpu):
        packed, scales, biases = mlx.quantize(mlx.array(weights.float().numpy()).astype(kind), group, bits)
        back = mlx.dequantize(packed, scales, biases, group, bits)
        floats = [torch.tensor(part.astype(mlx.float32).tolist()) for part in (scales, biases, back)]
    return torch.tensor(packed.tolist()), *(part.to(weights.dtype) for part in floats)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("group", GROUPS)
def test_every_bit_is_that_of_mlx(mlx, dtype, bits, group):
    for seed, scale in ((0, 1.0), (1, 0.02), (2, 300.0)):
        weights = scale * torch.randn(16, 256, generator=torch.Generator().manual_seed(seed))
        weights[3], weights[4], weights[5] = 0, weights[4].abs() + scale, 0.25  # zeros, one sign, all equal
        weights = weights.to(dtype)
        packed, scales, biases, back = with_mlx(mlx, weights, group, bits)
        ours = quantize(weights, group, bits)
        assert torch.equal(ours.weight.long(), packed)
        assert torch.equal(ours.scales, scales) and torch.equal(ours.biases, biases)
        assert torch.equal(ours.dequantize(), back)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(BITS), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32))
def test_packing_is_undone(bits, rows, words, seed):
    codes = torch.randint(0, 2**bits, (rows, 32 * words), generator=torch.Generator().manual_seed(seed))
    packed = pack(codes, bits)
    assert packed.shape == (rows, bits * words) and torch.equal(unpack(packed, bits).long(), codes)


def test_a_converted_model_is_read_as_mlx_reads_it(folders, mlx):
    stored, dense = load_file(folders[1] / "model.safetensors"), read_mlx(folders[1])
    assert set(dense) == set(load_file(folders[0] / "model.safetensors"))
    packed = [name.removesuffix(".scales") for name in stored if name.endswith(".scales")]
    assert len(packed) == 7 * small.CONFIG.layers + 2, "the embedding and the head too"
    for path in packed:
        parts = [stored[f"{path}.{part}"] for part in ("weight", "scales", "biases")]
        with mlx.stream(mlx.cpu):
            back = mlx.dequantize(*(mlx.array(part.numpy()) for part in parts), 64, 4).tolist()
        assert torch.equal(dense[f"{path}.weight"], torch.tensor(back)), path
        source = load_file(folders[0] / "model.safetensors")[f"{path}.weight"]
        assert torch.equal(quantize(source).weight, parts[0]), "and packed as we pack"


def test_the_dense_folder_is_a_hugging_face_folder_with_the_logits_of_mlx(folders, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dense = write_dense(folders[1], tmp_path / "dense")
    ours = load_pretrained(dense)
    theirs = AutoModelForCausalLM.from_pretrained(dense)
    torch.testing.assert_close(theirs(TOKENS).logits, ours.model(TOKENS), rtol=0, atol=1e-4)
    for folder in (folders[1], dense):
        torch.testing.assert_close(
            ours.model(TOKENS)[0], mlx_tools.logits(folder, TOKENS[0].tolist()), rtol=0, atol=1e-3
        )
    assert chat_template(dense) == small.TEMPLATE.source
    assert AutoTokenizer.from_pretrained(dense)(small.TEXT)["input_ids"] == small.tokenizer().encode(small.TEXT).ids
    with pytest.raises(CourseError, match="exists and is not empty"):
        write_dense(folders[1], dense)


def test_other_widths_and_settings_for_single_matrices(folders, mlx, tmp_path):
    from mlx_lm import convert

    def choose(path, module):
        return {"group_size": 32, "bits": 6} if path == QUERY else "norm" not in path and "lm_head" not in path

    convert(str(folders[0]), str(tmp_path / "mlx"), quantize=True, q_bits=3, dtype="bfloat16", quant_predicate=choose)
    dense = load_pretrained(write_dense(tmp_path / "mlx", tmp_path / "dense")).model
    source = load_pretrained(folders[0], torch.bfloat16).model
    assert torch.equal(dense.head.weight, source.head.weight.float()), "left alone"
    for block, group, bits in ((0, 32, 6), (1, 64, 3)):
        wanted = quantize(source.blocks[block].attention.query.weight, group, bits).dequantize()
        assert torch.equal(dense.blocks[block].attention.query.weight, wanted.float())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quantization": None}, "has no quantization of MLX"),
        ({"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}, "mode 'mxfp4'"),
        ({"quantization": {"group_size": 32, "bits": 4}}, "which 4 bits in groups of 32 do not give"),
        ({"quantization": {"group_size": 64, "bits": "4"}}, "is not packed as its config says"),
        ({"architectures": ["Qwen2ForCausalLM"]}, "architectures is"),
    ],
)
def test_what_is_not_understood_is_refused(copied, values, message, tmp_path):
    changed(copied, **values)
    with pytest.raises(CourseError, match=message):
        write_dense(copied, tmp_path / "dense")
    assert not (tmp_path / "dense").exists()


def test_damaged_weights_and_odd_matrices_are_refused(copied):
    path = copied / "model.safetensors"
    tensors = load_file(path)
    del tensors[f"{QUERY}.biases"]
    save_file(tensors, path)
    with pytest.raises(CourseError, match=f"'{QUERY}' in .* is not packed as its config says"):
        read_mlx(copied)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CourseError, match="cannot be read"):
        read_mlx(copied)
    path.unlink()
    with pytest.raises(CourseError, match="has no model.safetensors"):
        read_mlx(copied)
    for weights, options in ((torch.zeros(2, 96), {}), (torch.zeros(64), {}), (torch.zeros(2, 64), {"bits": 7})):
        with pytest.raises(CourseError, match="cannot be packed"):
            quantize(weights, **options)


def test_transformers_refuses_the_folder(folders):
    from transformers import AutoModelForCausalLM

    with pytest.raises(ValueError, match="has no `quant_method` attribute"):
        AutoModelForCausalLM.from_pretrained(folders[1])


def test_so_does_our_reader_and_also_without_the_two_keys(copied):
    with pytest.raises(CourseError, match="quantization_config is .* this decoder computes None only"):
        load_pretrained(copied)
    with pytest.raises(CourseError, match="has shape|does not ask for"):
        load_pretrained(changed(copied, quantization=None, quantization_config=None))


def test_without_the_two_keys_transformers_reports_what_does_not_fit(copied):
    from transformers import AutoModelForCausalLM

    changed(copied, quantization=None, quantization_config=None)
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        AutoModelForCausalLM.from_pretrained(copied)


def test_told_to_ignore_the_mismatch_it_draws_new_weights_without_an_error(copied):
    """The most expensive file format mistake: a model that loads, runs and knows nothing."""
    from transformers import AutoModelForCausalLM

    changed(copied, quantization=None, quantization_config=None)
    drawn = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        drawn.append(AutoModelForCausalLM.from_pretrained(copied, ignore_mismatched_sizes=True))
    first, second = (model.get_parameter(f"{QUERY}.weight") for model in drawn)
    assert first.shape == (64, 64) and not torch.equal(first, second), "drawn, not read"
    _, report = AutoModelForCausalLM.from_pretrained(copied, ignore_mismatched_sizes=True, output_loading_info=True)
    mismatched = {key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]}
    assert f"{QUERY}.weight" in mismatched and len(mismatched) == 7 * small.CONFIG.layers + 2
    torch.testing.assert_close(  # what MLX left dense is read
        drawn[0].get_parameter("model.norm.weight"), read_mlx(copied_back(copied))["model.norm.weight"]
    )


def copied_back(folder):
    return changed(folder, quantization={"group_size": 64, "bits": 4})


def adapter(path, width=64, rank=2):
    """An adapter in MLX's own layout on one matrix, A (in, r) and B (r, out)."""
    path.mkdir()
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(width, rank, generator=generator), torch.randn(rank, width, generator=generator)
    save_file({f"{QUERY}.lora_a": a, f"{QUERY}.lora_b": b}, path / "adapters.safetensors")
    values = {"rank": rank, "scale": 0.1, "dropout": 0.0, "keys": ["self_attn.q_proj"]}
    (path / "adapter_config.json").write_text(json.dumps({"num_layers": 2, "lora_parameters": values}))
    return 0.1 * (a @ b).T


def test_mlx_exports_gguf_from_dense_weights_only(tmp_path, monkeypatch):
    """`mlx_lm fuse --export-gguf`; and what it exports, transformers reads and llama.cpp does not."""
    pytest.importorskip("mlx_lm", reason="mlx-lm is not installed")
    from mlx_lm import fuse
    from transformers import AutoModelForCausalLM

    update = adapter(tmp_path / "adapter")
    source = small.folder(
        tmp_path / "hf", small.FULL
    )  # with padded rows of the embedding not even transformers reads it
    mlx_tools.convert(source, tmp_path / "mlx")
    command = ["fuse", "--model", str(tmp_path / "mlx"), "--adapter-path", str(tmp_path / "adapter"), "--export-gguf"]
    monkeypatch.setattr("sys.argv", [*command, "--save-path", str(tmp_path / "fused")])
    with pytest.raises(NotImplementedError, match="Conversion of quantized models is not yet supported"):
        fuse.main()
    monkeypatch.setattr("sys.argv", [*command, "--save-path", str(tmp_path / "dense"), "--dequantize"])
    fuse.main()
    dense = load_pretrained(tmp_path / "dense").model
    wanted = read_mlx(tmp_path / "mlx")[f"{QUERY}.weight"] + update
    torch.testing.assert_close(dense.blocks[0].attention.query.weight, wanted, rtol=0, atol=1e-5)
    exported = tmp_path / "dense" / "ggml-model-f16.gguf"
    theirs = AutoModelForCausalLM.from_pretrained(exported.parent, gguf_file=exported.name, dtype=torch.float32)
    torch.testing.assert_close(theirs(TOKENS).logits, dense(TOKENS), rtol=0, atol=0.1)
    with pytest.raises(CourseError, match="llama.cpp does not load"), serving(exported):
        pass
    with serving(folder_to_gguf(tmp_path / "dense", tmp_path / "ours.gguf")) as address:
        body = {"prompt": "Revenue rose", "max_tokens": 24, "temperature": 0}
        text = post(address, "/v1/completions", body)["choices"][0]["text"]
    assert text == small.greedy_text(tmp_path / "dense", "Revenue rose")


def test_a_trained_adapter_is_fused_into_dense_weights_and_rounded_into_packed_ones(folders, tmp_path):
    talks = [[{"role": "user", "content": "Revenue?"}, {"role": "assistant", "content": " The board met."}]] * 2
    packed = mlx_tools.convert(folders[0], tmp_path / "mlx", dtype="bfloat16")
    assert read_mlx(packed)[f"{QUERY}.weight"].dtype == torch.bfloat16
    losses = mlx_tools.train_adapter(folders[1], tmp_path / "adapter", talks, steps=4, lr=1e-2, rank=2)
    assert len(losses) == 4 and losses[-1] < losses[0]
    fused, dense = (
        mlx_tools.fuse(folders[1], tmp_path / "adapter", tmp_path / name, dequantize=name == "dense")
        for name in ("fused", "dense")
    )
    base, wanted = (
        read_mlx(folders[1])[f"{QUERY}.weight"],
        load_pretrained(dense).model.blocks[0].attention.query.weight,
    )
    parts = load_file(tmp_path / "adapter" / "adapters.safetensors")
    update = 2.0 * (parts[f"{QUERY}.lora_a"] @ parts[f"{QUERY}.lora_b"]).T
    torch.testing.assert_close(wanted - base, update, rtol=0, atol=1e-5)
    assert torch.equal(read_mlx(fused)[f"{QUERY}.weight"], quantize(wanted).dequantize()), "rounded once more"
    with pytest.raises(CourseError, match="exists; give a new folder"):
        mlx_tools.train_adapter(folders[1], tmp_path / "adapter", talks, steps=1)
    with pytest.raises(CourseError, match="has no config.json"):
        mlx_tools.fuse("some/name", tmp_path / "adapter", tmp_path / "new")


def test_mlx_leaves_matrices_without_whole_groups_as_they_are_and_says_nothing(folders, tmp_path):
    stored = load_file(mlx_tools.convert(folders[0], tmp_path / "mlx", group=128) / "model.safetensors")
    packed = {name for name in stored if name.endswith(".scales")}
    assert packed == {f"model.layers.{layer}.mlp.down_proj.scales" for layer in range(small.CONFIG.layers)}
    assert load_pretrained(write_dense(tmp_path / "mlx", tmp_path / "dense")).model.config == small.CONFIG


def test_without_mlx_one_sentence_says_so_and_a_name_is_never_looked_up(folders, tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="has no config.json"):
        mlx_tools.convert("some/name", tmp_path / "new")
    with pytest.raises(CourseError, match="has no config.json"):
        mlx_tools.logits("some/name", [1])
    with pytest.raises(CourseError, match="exists; give a new folder"):
        mlx_tools.convert(folders[0], tmp_path)
    with pytest.raises(CourseError, match="MLX does not convert"):
        mlx_tools.convert(folders[0], tmp_path / "new", bits=7)
    monkeypatch.setitem(sys.modules, "mlx.core", None)
    with pytest.raises(CourseError, match=r'run `pip install "finqa-lab\[mlx\]"`'):
        mlx_tools.convert(folders[0], tmp_path / "new")
