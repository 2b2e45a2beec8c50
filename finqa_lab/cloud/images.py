"""Which container image serves, as the SageMaker SDK knows them: looked up in its files, offline.

Three servers read the archive of :mod:`finqa_lab.cloud.package`:

- ``vllm`` (the default): Hugging Face's vLLM image; reads the model at the root, and the adapter as a LoRA module;
- ``tgi``: Hugging Face's Text Generation Inference, in maintenance mode; version 3.0.1 is the historical path;
- ``handler``: the PyTorch image, whose toolkit calls ``code/inference.py``.

The SDK's own tables have gaps (in that of 2.27.0 ``ml.g5.xlarge`` is missing from the list of GPU counts, beside a
``ml.g5n.xlarge``), so an image URI says nothing about whether a region has the instance.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from finqa_lab.cloud.errors import CloudError
from finqa_lab.errors import CourseError
from finqa_lab.files import home, write_atomic

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


LOOK_UP = """
import json, sys
framework, version, region, instance, scope = json.loads(sys.argv[1])
try:
    from sagemaker.core import image_uris
except ImportError:
    print(json.dumps({"missing": True}))
    sys.exit()
try:
    known = image_uris.config_for_framework(framework)
    pythons = known.get(scope, known).get("versions", {}).get(version, {}).get("py_versions") or [None]
    uri = image_uris.retrieve(framework, region, version=version, py_version=pythons[-1], instance_type=instance,
                              image_scope=scope)
    print(json.dumps({"uri": uri}))
except (ValueError, KeyError) as error:
    print(json.dumps({"error": str(error).split("\\n")[0][:200]}))
"""
"""Program of the look-up. It runs elsewhere, as importing the SDK opens a session that reads the user's profile."""


def sdk_environment() -> dict[str, str]:
    """Variables for the look-up: nothing of the user's account, and files of it that are empty."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("AWS_", "SAGEMAKER_"))}
    empty = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | empty | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}


def _retrieve(framework: str, version: str, region: str, instance: str, scope: str) -> str:
    """Look an image up; the SDK takes seconds to import, so its answers are kept, by its version."""
    try:
        kept = home() / "cloud" / f"images-{metadata.version('sagemaker-core')}.json"
    except metadata.PackageNotFoundError:
        raise CourseError(_MISSING) from None
    asked = json.dumps([framework, version, region, instance, scope])
    known = _read(kept)
    if asked not in known:
        known[asked] = _ask_sdk(asked)
        write_atomic(kept, json.dumps(known, indent=1) + "\n")
    answer = known[asked]
    if "error" in answer:
        raise CloudError(f"the SDK lists no {framework} {version} image for {instance} in {region}: {answer['error']}")
    return answer["uri"]


def _ask_sdk(asked: str) -> dict[str, str]:
    command = [sys.executable, "-c", LOOK_UP, asked]
    done = subprocess.run(command, capture_output=True, text=True, env=sdk_environment(), timeout=300)
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise CloudError(f"the SDK could not be asked for an image: {done.stderr.strip()[-200:]}") from None
    if "missing" in answer:
        raise CourseError(_MISSING)
    return answer


def _read(path: Path) -> dict:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


_MISSING = "image URIs need sagemaker-core: pip install 'finqa-lab[cloud]'"
