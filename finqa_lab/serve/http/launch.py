"""From a model's name to a running server: weights, adapters, engine, process."""

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.layout import column_major
from finqa_lab.serve.engine import Engine, EngineSettings
from finqa_lab.serve.http.app import make_app
from finqa_lab.serve.http.asking import Chat
from finqa_lab.serve.http.catalogue import Catalogue
from finqa_lab.serve.http.service import Service
from finqa_lab.serve.http.settings import ServerSettings
from finqa_lab.serve.http.structure import Grammars
from finqa_lab.serve.worker import EngineWorker
from finqa_lab.tune.adapters import fingerprint, load_adapter
from finqa_lab.tune.base import Base, load_base
from finqa_lab.web.log import JsonLog
from finqa_lab.web.process import run

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_service(
    model: str,
    adapters: Mapping[str, Path] | None = None,
    settings: ServerSettings | None = None,
    engine: EngineSettings | None = None,
    name: str | None = None,
    dtype: str = "float32",
    device: str = "cpu",
) -> Service:
    """Load a model and its adapters; the engine's thread is not started yet.

    Args:
        model: ``finqa-tiny``, a folder, or a hub's ``owner/name``.
        adapters: folders by name, as :func:`finqa_lab.tune.adapters.save_adapter` or peft writes them.
        settings, engine: limits and sizes.
        name: that the base is asked for by; default: the model's, or its folder's.
        dtype: of weights and cache: "float32" or "bfloat16".
        device: of weights and cache.

    Raises:
        CourseError: when a model, an adapter or a name is not what it should be.
    """
    catalogue = Catalogue(name or (Path(model).resolve().name if Path(model).is_dir() else model), adapters or {})
    if dtype not in DTYPES:
        raise CourseError(f"serve: dtype is {dtype!r}; choose {' or '.join(DTYPES)}")
    base = load_base(model, DTYPES[dtype], device)
    return assemble(base, catalogue, adapters or {}, settings or ServerSettings(), engine or EngineSettings())


def assemble(
    base: Base, catalogue: Catalogue, adapters: Mapping[str, Path], settings: ServerSettings, engine: EngineSettings
) -> Service:
    """The service of a base that is loaded; its model gets the adapters and belongs to the engine from now on.

    Raises:
        CourseError: when an adapter does not fit the base, or the engine does not take the model.
    """
    model = base.model
    digest = fingerprint(model)
    parameters = list(model.parameters())
    count = sum(parameter.numel() for parameter in parameters)
    size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    for name, folder in adapters.items():
        if hasattr(nn.ModuleDict(), name):  # torch keeps modules by name, beside its own attributes
            raise CourseError(f"'{name}' cannot be the name of an adapter; choose another")
        load_adapter(folder, model, name)
    model.eval().requires_grad_(False)
    if model.device.type == "cpu":
        column_major(model, wide=False)  # steps have few rows
    worker = EngineWorker(Engine(model, engine))
    context = min(model.config.context, engine.blocks * engine.block_size)
    vocabulary = model.config.vocabulary
    return Service(
        worker=worker,
        chat=Chat(base.tokenizer, base.template, base.end, context, vocabulary),
        catalogue=catalogue,
        grammars=Grammars(base.tokenizer, base.end, vocabulary),
        settings=settings,
        fingerprint=digest,
        parameters=count,
        size=size,
        created=int(time.time()),
    )


def serve(service: Service, log: JsonLog | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0 after requests in flight were answered, 1 when the engine has died.

    Raises:
        CourseError: when a package is missing or the address cannot be had.
    """
    log, settings = log or JsonLog(), service.settings
    status = run(
        make_app(service, log), settings.host, settings.port, settings.drain, log, settings.api_key is not None
    )
    return status or (0 if service.worker.failure is None else 1)
