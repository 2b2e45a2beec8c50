"""``finqa-lab serve``: a model behind HTTP."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Attach the command; the defaults are those of :class:`finqa_lab.arithmetic.service.settings.Settings`."""
    from finqa_lab.arithmetic.service.settings import Settings

    parser = subparsers.add_parser("serve", help="serve a model over HTTP: arithmetic")
    models = parser.add_subparsers(dest="model", metavar="MODEL", required=True)
    arithmetic = models.add_parser("arithmetic", help="the arithmetic transformer")
    arithmetic.add_argument("--registry", type=Path, metavar="DIR", help="folder; default: one with the shipped model")
    arithmetic.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key")
    for option, kind, text in OPTIONS:
        default = getattr(Settings, option.replace("-", "_"))
        arithmetic.add_argument(f"--{option}", type=kind, default=default, help=f"{text} (default {default})")
    arithmetic.set_defaults(run=run)


OPTIONS = (
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


def run(args) -> int:
    """Serve until stopped; returns the exit status.

    Raises:
        CourseError: on a value out of range, a missing package or a taken port.
    """
    from finqa_lab.arithmetic.service.defaults import default_registry
    from finqa_lab.arithmetic.service.registry import Registry
    from finqa_lab.arithmetic.service.server import serve
    from finqa_lab.arithmetic.service.settings import Settings
    from finqa_lab.web.access import key_from_environment

    chosen = {option.replace("-", "_"): getattr(args, option.replace("-", "_")) for option, _, _ in OPTIONS}
    settings = Settings(**chosen, api_key=key_from_environment(args.api_key_env))
    return serve(settings, Registry(args.registry) if args.registry else default_registry())
