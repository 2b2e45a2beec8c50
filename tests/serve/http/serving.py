"""What the tests of the server share: a worker with chosen replies, a small model, a server on a real socket."""

import asyncio
import contextlib
import functools
import http.client
import io
import json
import threading
import time

import uvicorn
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.engine import Emission, EngineSettings, Statistics
from finqa_lab.serve.http.app import make_app
from finqa_lab.serve.http.asking import Chat
from finqa_lab.serve.http.catalogue import Catalogue
from finqa_lab.serve.http.launch import assemble
from finqa_lab.serve.http.service import Service
from finqa_lab.serve.http.settings import ServerSettings
from finqa_lab.serve.http.structure import Grammars
from finqa_lab.serve.request import Overloaded, Request
from finqa_lab.text.chat import load_chat_template
from finqa_lab.tune.base import Base, model_folder
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter, set_adapter
from finqa_lab.web.log import JsonLog
from finqa_lab.web.process import listen
from tests.asking import ask, connect

SETTINGS = ServerSettings(timeout=20, max_tokens=200)
KEY = "a-key-of-some-length"


@functools.cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(data_path("models/finqa-tiny/tokenizer.json")))


END = 2044


class FakeWorker:
    """Replies with a text of one's choice, then the end token.

    Args:
        reply: text, token ids, or a function from the request to token ids.
        delay: seconds before every token.
        failing: after so many tokens the stream raises, as of an engine that has died.
        refusal: raised before the first token.
    """

    def __init__(self, reply="The answer is 12.", delay=0.0, failing=None, refusal=None, cached=0):
        self.reply, self.delay, self.failing, self.refusal, self.cached = reply, delay, failing, refusal, cached
        self.requests: list[Request] = []
        self.open = self.cancelled = 0
        self.failure, self.alive = None, False

    def start(self):
        self.alive = True

    def close(self):
        self.alive = False

    @property
    def statistics(self) -> Statistics:
        return Statistics(running=self.open, blocks=100, blocks_free=100 - self.open, cancelled=self.cancelled)

    def tokens(self, request: Request) -> list[int]:
        if callable(self.reply):
            return self.reply(request)
        return tokenizer().encode(self.reply).ids if isinstance(self.reply, str) else list(self.reply)

    async def stream(self, request: Request):
        self.requests.append(request)
        if self.refusal is not None:
            raise self.refusal
        self.open += 1
        complete = False
        try:
            tokens = [*self.tokens(request), END][: request.stop.limit]
            for index, token in enumerate(tokens):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if index == self.failing:
                    self.alive, self.failure = False, RuntimeError("the secret inside")
                    raise CourseError("the engine has failed before the reply was complete; send the request again")
                last = index + 1 == len(tokens)
                complete = last
                ended = ("stop token" if token == END else "limit") if last else None
                yield Emission(0, token, ended, 0.001, self.cached)
        finally:
            self.open -= 1
            self.cancelled += not complete


def fake_service(worker=None, settings=SETTINGS, adapters=("json", "program"), context=1024) -> Service:
    folder = model_folder("finqa-tiny")
    return Service(
        worker=worker or FakeWorker(),
        chat=Chat(tokenizer(), load_chat_template(folder), (END,), context, 2048),
        catalogue=Catalogue("finqa-tiny", adapters),
        grammars=Grammars(tokenizer(), (END,), 2048),
        settings=settings,
        fingerprint="0123456789abcdef" * 4,
        parameters=5_000_000,
        size=20_000_000,
        created=1_700_000_000,
    )


SMALL = DecoderConfig.llama(2048, 32, 2, 4, 48, 128, kv_heads=2)


def small_service(settings=SETTINGS, engine=None, slow=0.0) -> Service:
    """A random decoder with finqa-tiny's tokenizer and the adapters 'red' and 'blue', on the real engine.

    Args:
        slow: seconds that every step takes longer.
    """
    model = Decoder(SMALL, seed=3)
    for seed, name in enumerate(("red", "blue")):
        add_adapter(model, LoRAConfig(rank=4, targets=("query", "value", "up")), name, seed=seed)
        for layer in adapted_layers(model).values():
            layer.adapters[name].b.data.normal_()
    set_adapter(model, None)
    folder = model_folder("finqa-tiny")
    base = Base(model, tokenizer(), load_chat_template(folder), (END,), folder)
    made = assemble(base, Catalogue("small", ("red", "blue")), {}, settings, engine or EngineSettings())
    if slow:
        step = made.worker.engine.step
        made.worker.engine.step = lambda: (time.sleep(slow), step())[1]
    return made


class Live:
    """A server on a real socket, in a thread of this process."""

    def __init__(self, service: Service):
        self.service, self.log = service, io.StringIO()
        self.listener = listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            make_app(service, JsonLog(self.log)), log_config=None, timeout_graceful_shutdown=2, server_header=False
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)

    def connect(self) -> http.client.HTTPConnection:
        return connect(self.port)

    def ask(self, method, path, body=None, headers=None):
        return ask(self.port, method, path, body, headers)

    def lines(self, event="request") -> list[dict]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def until(self, condition, seconds=20.0):
        give_up = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up, f"it did not happen: {self.log.getvalue()}"
            time.sleep(0.01)
        return found


@contextlib.contextmanager
def live(service: Service):
    """A running server, stopped at the end."""
    server = Live(service)
    server.thread.start()
    try:
        server.until(lambda: server.lines("serving"))
        yield server
    finally:
        server.server.should_exit = True
        server.thread.join(30)
        server.listener.close()
        assert not server.thread.is_alive()


def overloaded() -> Overloaded:
    return Overloaded(64, 1.5)
