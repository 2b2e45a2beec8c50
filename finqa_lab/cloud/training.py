"""``finqa-lab train`` as a SageMaker training job: a request held to the service's model, and the SDK's object.

The job runs the script of lab 08 unchanged (``finqa_lab/cli/train.py``, under ``torchrun``). The request is built here
and can be sent with boto3. Where the optional package ``sagemaker-train`` is installed, :func:`model_trainer` makes the
SDK's ``ModelTrainer`` with ``Torchrun`` of the same job; it packs the source and writes its own start script.
"""

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.images import training_image
from finqa_lab.cloud.package import REQUIREMENTS
from finqa_lab.cloud.validation import check_request
from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY, write_atomic

INPUT, MODEL, CHECKPOINTS = "/opt/ml/input/data", "/opt/ml/model", "/opt/ml/checkpoints"
SCRIPT = "finqa_lab/cli/train.py"
START = f"""#!/bin/bash
# Started by the training job: processes for each node, then the settings of finqa-lab train.
set -e
cd {INPUT}/code
python -m pip install -q -r requirements.txt
exec torchrun --standalone --nproc-per-node "$1" {SCRIPT} "${{@:2}}"
"""


@dataclass(frozen=True)
class TrainingJob:
    """A fine-tuning job on one instance.

    Attributes:
        name: of the job.
        region, instance: where it runs.
        role: ARN of the role that it runs as.
        bucket: of what goes in and what comes out, below ``name/``.
        processes: of torchrun, one for each GPU.
        settings: of ``finqa-lab train``, without the folders.
        validation: whether there is a channel of that name.
        hours: after which the service stops it.
        spot: use spare capacity: cheaper, and it can be interrupted; the job goes on from its checkpoint.
        owner: for the tags.
    """

    name: str
    region: str
    instance: str
    role: str
    bucket: str
    processes: int = 1
    settings: dict = field(default_factory=dict)
    validation: bool = False
    hours: float = 2.0
    volume_gb: int = 100
    spot: bool = False
    owner: str = "course"

    @property
    def prefix(self) -> str:
        """Of everything that belongs to the job."""
        return f"s3://{self.bucket}/{self.name}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Input channels; the folder of one is the variable ``SM_CHANNEL_`` and its name, in the SDK's images."""
        return ("model", "training", "validation") if self.validation else ("model", "training")

    def arguments(self) -> list[str]:
        """The command line of ``finqa-lab train``: folders first.

        Raises:
            CourseError: when a setting does not exist or does not fit.
        """
        from finqa_lab.tune.settings import settings_from

        folders = {"model": f"{INPUT}/model", "data": f"{INPUT}/training", "out": MODEL, "state": CHECKPOINTS}
        if self.validation:
            folders["validation"] = f"{INPUT}/validation"
        taken = sorted(set(self.settings) & set(folders))
        if taken:
            raise CourseError(f"the setting '{taken[0]}' is a folder of the job; leave it out")
        chosen = settings_from(folders | self.settings)
        described = chosen.describe()
        words = []
        for name in [*folders, *sorted(self.settings)]:
            value = described[name]
            text = (
                ",".join(value)
                if isinstance(value, list)
                else str(value).lower()
                if value in (True, False)
                else str(value)
            )
            words += [f"--{name.replace('_', '-')}", text]
        return words

    def request(self) -> dict:
        """``CreateTrainingJob``, for boto3."""
        seconds = math.ceil(self.hours * 3600)
        stopping = {"MaxRuntimeInSeconds": seconds} | ({"MaxWaitTimeInSeconds": 2 * seconds} if self.spot else {})
        request = {
            "TrainingJobName": self.name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {
                "TrainingImage": training_image(self.region, self.instance).uri,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["/bin/bash", f"{INPUT}/code/start.sh"],
                "ContainerArguments": [str(self.processes), *self.arguments()],
                "MetricDefinitions": [
                    {"Name": "train:loss", "Regex": r"step [0-9]+: loss ([0-9.]+)"},
                    {"Name": "validation:loss", "Regex": r"validation after [0-9]+ steps: ([0-9.]+)"},
                ],
            },
            "InputDataConfig": [
                {
                    "ChannelName": name,
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"{self.prefix}/{name}/",
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
                for name in ("code", *self.channels)
            ],
            "OutputDataConfig": {"S3OutputPath": f"{self.prefix}/output/"},
            "CheckpointConfig": {"S3Uri": f"{self.prefix}/checkpoints/", "LocalPath": CHECKPOINTS},
            "ResourceConfig": {
                "InstanceType": self.instance,
                "InstanceCount": 1,
                "VolumeSizeInGB": self.volume_gb,
            },
            "StoppingCondition": stopping,
            "Environment": {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            "EnableManagedSpotTraining": self.spot,
            "Tags": [{"Key": "finqa-lab:owner", "Value": self.owner}],
        }
        return request

    def check(self) -> None:
        """Hold the request to the service's model.

        Raises:
            InvalidRequest: naming the field that does not fit.
        """
        if self.processes < 1 or self.volume_gb < 1 or not 0 < self.hours <= 24 * 28:
            raise InvalidRequest(
                "a training job needs at least one process and one GB, and more than 0 hours, 28 days at most"
            )
        check_request("sagemaker", "CreateTrainingJob", self.request())


def write_source(folder: str | Path) -> Path:
    """The folder for the channel ``code``: the library, the packages that the job needs, and the start script."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(f"{folder} is not empty; give a new folder")
    from importlib import metadata

    shutil.copytree(REPOSITORY / "finqa_lab", folder / "finqa_lab", ignore=_only_sources)
    needed = sorted({*REQUIREMENTS, "rich", "psutil", "PyYAML"})
    write_atomic(folder / "requirements.txt", "".join(f"{name}=={metadata.version(name)}\n" for name in needed))
    write_atomic(folder / "start.sh", START)
    return folder


def _only_sources(folder: str, names: list[str]) -> list[str]:
    return [
        name for name in names if not (name.endswith(".py") or (Path(folder) / name).is_dir()) or name == "__pycache__"
    ]


def model_trainer(job: TrainingJob, source: str | Path, session=None):
    """The SDK's ``ModelTrainer`` of a job; ``.train(input_data_config=...)`` starts it and costs money.

    Args:
        job: what is to run.
        source: folder that :func:`write_source` wrote.
        session: the SDK's; without one it looks for credentials when it trains.

    Raises:
        CourseError: when the package ``sagemaker-train`` is not installed.
    """
    try:
        from sagemaker.train import ModelTrainer
        from sagemaker.train.configs import (
            CheckpointConfig,
            Compute,
            OutputDataConfig,
            SourceCode,
            StoppingCondition,
            Tag,
        )
        from sagemaker.train.distributed import Torchrun
    except ImportError:
        raise CourseError(
            "the SDK's ModelTrainer needs the package sagemaker-train: pip install 'finqa-lab[sagemaker]'; the request "
            "for boto3 does not"
        ) from None
    job.check()
    given = {
        "training_image": training_image(job.region, job.instance).uri,
        "role": job.role,
        "base_job_name": job.name,
        "source_code": SourceCode(source_dir=str(source), entry_script=SCRIPT, requirements="requirements.txt"),
        "distributed": Torchrun(process_count_per_node=job.processes),
        "compute": Compute(instance_type=job.instance, instance_count=1, volume_size_in_gb=job.volume_gb),
        "hyperparameters": hyperparameters(job),
        "stopping_condition": StoppingCondition(max_runtime_in_seconds=math.ceil(job.hours * 3600)),
        "output_data_config": OutputDataConfig(s3_output_path=f"{job.prefix}/output/"),
        "checkpoint_config": CheckpointConfig(s3_uri=f"{job.prefix}/checkpoints/", local_path=CHECKPOINTS),
        "environment": {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        "tags": [Tag(key="finqa-lab:owner", value=job.owner)],
    }
    return ModelTrainer(**given, **({"sagemaker_session": session} if session is not None else {}))


def hyperparameters(job: TrainingJob) -> dict[str, str]:
    """The settings in the SDK's form: it passes them to the script as arguments; folders come from its variables."""
    words = job.arguments()
    pairs = dict(zip(words[::2], words[1::2]))
    return {name.removeprefix("--"): value for name, value in pairs.items()
            if name not in ("--model", "--data", "--out", "--validation")}  # fmt: skip
