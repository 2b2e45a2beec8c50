"""What the routes share: the running engine and what is known about its model."""

from dataclasses import dataclass

from finqa_lab.serve.http.asking import Chat
from finqa_lab.serve.http.catalogue import Catalogue
from finqa_lab.serve.http.settings import ServerSettings
from finqa_lab.serve.http.structure import Grammars
from finqa_lab.serve.worker import EngineWorker


@dataclass(frozen=True)
class Service:
    """A model that is served.

    Attributes:
        worker: that runs the engine.
        chat: prompts.
        catalogue: names.
        grammars: structured replies.
        settings: limits.
        fingerprint: hex SHA-256 of the base weights: replies with the same seed are comparable while it is the same.
        parameters: how many the base has.
        size: of them, in bytes.
        created: when the server started, seconds since 1970-01-01 UTC.
    """

    worker: EngineWorker
    chat: Chat
    catalogue: Catalogue
    grammars: Grammars
    settings: ServerSettings
    fingerprint: str
    parameters: int
    size: int
    created: int
