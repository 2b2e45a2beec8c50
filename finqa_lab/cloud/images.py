"""Which container image serves, as the SageMaker SDK knows them: looked up in its files, offline.

Three servers read the archive of :mod:`finqa_lab.cloud.package`:

- ``vllm`` (the default): Hugging Face's vLLM image; reads the model at the root, and the adapter as a LoRA module;
- ``tgi``: Hugging Face's Text Generation Inference, in maintenance mode; version 3.0.1 is the historical path;
- ``handler``: the PyTorch image, whose toolkit calls ``code/inference.py``.

The SDK's own tables have gaps (in that of 2.27.0 ``ml.g5.xlarge`` is missing from the list of GPU counts, beside a
``ml.g5n.xlarge``), so an image URI says nothing about whether a region has the instance.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from finqa_lab.cloud.errors import CloudError
from finqa_lab.errors import CourseError

MODEL_DIR = "/opt/ml/model"
SERVERS = {"vllm": ("huggingface-vllm", "0.21.0"), "tgi": ("huggingface-llm", "3.0.1"), "handler": ("pytorch", "2.6.0")}
"""Framework in the SDK and default version, by server."""
TRAINING = ("pytorch", "2.8.0")


@dataclass(frozen=True)
class Image:
    """A container image.

    Attributes:
        server: ``vllm``, ``tgi``, ``handler`` or ``training``.
        version: that was asked for.
        uri: of the registry.
    """

    server: str
    version: str
    uri: str


def serving_image(server: str, region: str, instance: str, version: str | None = None) -> Image:
    """The image that serves.

    Raises:
        CloudError: for an unknown server, or a version or region that the SDK does not list.
        CourseError: when sagemaker-core is not installed.
    """
    if server not in SERVERS:
        raise CloudError(f"there is no server '{server}'; choose one of {', '.join(SERVERS)}")
    framework, default = SERVERS[server]
    version = version or default
    return Image(server, version, _retrieve(framework, version, region, instance, "inference"))


def training_image(region: str, instance: str, version: str = TRAINING[1]) -> Image:
    """PyTorch's image for training jobs."""
    return Image("training", version, _retrieve(TRAINING[0], version, region, instance, "training"))


def environment(server: str, adapted: bool, context: int = 4096) -> Mapping[str, str]:
    """Variables of ``create_model`` for a server; each reads the archive where the service unpacks it.

    Args:
        server: of :data:`SERVERS`.
        adapted: whether the archive has an adapter.
        context: most tokens of prompt and reply.
    """
    if server == "vllm":  # SM_VLLM_X becomes vLLM's --x
        lora = {"SM_VLLM_ENABLE_LORA": "true", "SM_VLLM_LORA_MODULES": f"adapter={MODEL_DIR}/adapter"}
        return {"SM_VLLM_MODEL": MODEL_DIR, "SM_VLLM_MAX_MODEL_LEN": str(context)} | (lora if adapted else {})
    if server == "tgi":
        lora = {"LORA_ADAPTERS": f"adapter={MODEL_DIR}/adapter"}
        return {"HF_MODEL_ID": MODEL_DIR, "MAX_TOTAL_TOKENS": str(context)} | (lora if adapted else {})
    return {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"{MODEL_DIR}/code"}


def _retrieve(framework: str, version: str, region: str, instance: str, scope: str) -> str:
    try:
        from sagemaker.core import image_uris
    except ImportError:
        raise CourseError("image URIs need sagemaker-core: pip install 'finqa-lab[cloud]'") from None
    try:
        return image_uris.retrieve(
            framework, region, version=version, py_version=_python(framework, version, scope), instance_type=instance,
            image_scope=scope,
        )  # fmt: skip
    except (ValueError, KeyError) as error:
        reason = str(error).split("\n")[0][:200]
        raise CloudError(f"the SDK lists no {framework} {version} image for {instance} in {region}: {reason}") from None


def _python(framework: str, version: str, scope: str) -> str | None:
    """The newest Python of an image, where the SDK wants it named."""
    from sagemaker.core.image_uris import config_for_framework

    config = config_for_framework(framework)
    config = config.get(scope, config)
    versions = config.get("versions", {}).get(version, {}).get("py_versions") or [None]
    return versions[-1]
