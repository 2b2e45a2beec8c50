"""``finqa-lab serve``: a model behind HTTP."""

import argparse
from pathlib import Path

MODELS = """MODEL is one of
  arithmetic    the arithmetic transformer, with its own interface
  finqa-tiny    the course's base model, OpenAI- and Ollama-style
  FOLDER        any chat model in the Hugging Face layout
  OWNER/NAME    one of a hub, downloaded once
`finqa-lab serve arithmetic --help` and `finqa-lab serve MODEL --help` list the options."""


def add_parser(subparsers) -> None:
    """Attach the command; what stands behind the model's name is parsed by that model's own parser."""
    parser = subparsers.add_parser(
        "serve",
        help="serve a model over HTTP: arithmetic, finqa-tiny, a folder, or a hub's",
        epilog=MODELS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="what to serve")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of that model's server")
    parser.set_defaults(run=run)


def run(args) -> int:
    """Serve until stopped; returns the exit status.

    Raises:
        CourseError: on a value out of range, a missing package or a taken port.
    """
    return (run_arithmetic if args.model == "arithmetic" else run_language_model)(args.model, args.options)


ARITHMETIC_OPTIONS = (
    ("host", str, "address to listen on"),
    ("port", int, "port; 0 takes a free one and logs it"),
    ("queue", int, "problems that may wait before clients get 429"),
    ("max-batch", int, "problems in one decode"),
    ("batch-cap", int, "problems in one /predict/batch request"),
    ("body-cap", int, "bytes of a request's body"),
    ("timeout", float, "seconds that a request may wait"),
    ("drain", float, "seconds for requests in flight when stopping"),
    ("poll", float, "seconds between looks at the registry for another version"),
)


def run_arithmetic(model: str, words: list[str]) -> int:
    """``finqa-lab serve arithmetic``."""
    from finqa_lab.arithmetic.service.defaults import default_registry
    from finqa_lab.arithmetic.service.registry import Registry
    from finqa_lab.arithmetic.service.server import serve
    from finqa_lab.arithmetic.service.settings import Settings
    from finqa_lab.web.access import key_from_environment

    parser = argparse.ArgumentParser(prog=f"finqa-lab serve {model}", description="Serve the arithmetic transformer.")
    parser.add_argument("--registry", type=Path, metavar="DIR", help="folder; default: one with the shipped model")
    _add_key(parser)
    for option, kind, text in ARITHMETIC_OPTIONS:
        default = getattr(Settings, option.replace("-", "_"))
        parser.add_argument(f"--{option}", type=kind, default=default, help=f"{text} (default {default})")
    args = parser.parse_args(words)
    chosen = {option.replace("-", "_"): getattr(args, option.replace("-", "_")) for option, _, _ in ARITHMETIC_OPTIONS}
    settings = Settings(**chosen, api_key=key_from_environment(args.api_key_env))
    return serve(settings, Registry(args.registry) if args.registry else default_registry())


ENGINE_OPTIONS = (
    ("blocks", "KV blocks of the pool"),
    ("block-size", "positions of a block"),
    ("batch", "sequences in one step"),
    ("step-tokens", "tokens in one step: long prompts are read in chunks"),
    ("waiting", "requests that may wait before clients get 429"),
)


def language_model_parser(model: str) -> argparse.ArgumentParser:
    """Options of every model but the arithmetic one; the defaults are those of the two settings classes."""
    from dataclasses import fields

    from finqa_lab.serve.engine import EngineSettings
    from finqa_lab.serve.http.settings import ServerSettings

    parser = argparse.ArgumentParser(
        prog=f"finqa-lab serve {model}", description="Serve a language model, OpenAI- and Ollama-style."
    )
    add = parser.add_argument
    add("--name", help="name that clients ask for; default: that of the model or its folder")
    add("--adapter", action="append", default=[], metavar="NAME=FOLDER", help="a LoRA adapter; may be repeated")
    add("--dtype", default="float32", help="of weights and cache: float32 or bfloat16 (default float32)")
    add("--device", default="cpu", help="of weights and cache (default cpu)")
    add("--log", type=Path, metavar="FILE", help="append the log there; default: the error stream")
    add("--no-prefix-cache", action="store_true", help="compute every prompt from its beginning")
    _add_key(parser)
    for one in fields(ServerSettings):
        if "help" in one.metadata:
            option, text = f"--{one.name.replace('_', '-')}", f"{one.metadata['help']} (default {one.default})"
            add(option, type=one.type, default=one.default, help=text)
    for option, text in ENGINE_OPTIONS:
        default = getattr(EngineSettings, option.replace("-", "_"))
        add(f"--{option}", type=int, default=default, help=f"{text} (default {default})")
    return parser


def run_language_model(model: str, words: list[str]) -> int:
    """``finqa-lab serve finqa-tiny``, or any other chat model."""
    args = language_model_parser(model).parse_args(words)

    from dataclasses import fields

    from finqa_lab.errors import CourseError
    from finqa_lab.serve.engine import EngineSettings
    from finqa_lab.serve.http.launch import load_service, serve
    from finqa_lab.serve.http.settings import ServerSettings
    from finqa_lab.web.access import key_from_environment
    from finqa_lab.web.log import JsonLog

    chosen = {one.name: getattr(args, one.name) for one in fields(ServerSettings) if "help" in one.metadata}
    settings = ServerSettings(**chosen, api_key=key_from_environment(args.api_key_env))
    sizes = {option.replace("-", "_"): getattr(args, option.replace("-", "_")) for option, _ in ENGINE_OPTIONS}
    engine = EngineSettings(**sizes, prefix_cache=not args.no_prefix_cache)
    service = load_service(model, _adapters(args.adapter), settings, engine, args.name, args.dtype, args.device)
    if args.log is None:
        return serve(service)
    try:
        stream = open(args.log, "a", encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot write the log {args.log}: {error.strerror}; choose another --log") from None
    with stream:
        return serve(service, JsonLog(stream))


def _adapters(given: list[str]) -> dict[str, Path]:
    from finqa_lab.errors import CourseError

    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not folder or name in found:
            problem = "is given twice" if name in found else "is not NAME=FOLDER"
            raise CourseError(f"--adapter {text!r} {problem}; write for example --adapter json=runs/json/adapter")
        found[name] = Path(folder)
    return found


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key")
