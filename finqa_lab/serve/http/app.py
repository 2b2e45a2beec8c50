"""The web application: routes, start and end of life."""

import contextlib
import functools

import finqa_lab
from finqa_lab.errors import CourseError
from finqa_lab.serve.http.answering import Answering
from finqa_lab.serve.http.errors import ApiError
from finqa_lab.serve.http.gate import Gate
from finqa_lab.serve.http.metrics import CONTENT_TYPE, Metrics
from finqa_lab.serve.http.ollama_routes import read_generate, read_ollama_chat, tags
from finqa_lab.serve.http.ollama_shapes import Version
from finqa_lab.serve.http.openai_routes import model_card, model_list, read_chat, read_completion
from finqa_lab.serve.http.openapi import document
from finqa_lab.serve.http.service import Service
from finqa_lab.web.log import JsonLog


def make_app(service: Service, log: JsonLog | None = None):
    """The ASGI application. Its lifespan starts the engine's thread and ends it.

    Args:
        service: the model.
        log: where the JSON lines go; the default is the error stream.

    Raises:
        CourseError: when starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.responses import JSONResponse, Response
        from starlette.routing import Route
    except ImportError:
        raise CourseError("serving needs starlette: pip install 'finqa-lab[serve]'") from None
    log, metrics = log or JsonLog(), Metrics(service.worker)
    described = document(service)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        service.worker.start()
        log("serving", model=service.catalogue.base, adapters=list(service.catalogue.adapters))
        yield
        service.worker.close()
        log("stopped", failed=None if service.worker.failure is None else repr(service.worker.failure))
        log.flush()

    def get(path: str, answer) -> Route:
        async def endpoint(request):
            found = answer(request)
            return found if isinstance(found, Response) else JSONResponse(found.model_dump(exclude_none=True))

        return Route(path, endpoint, methods=["GET"])

    def health(_) -> JSONResponse:
        statistics = service.worker.statistics
        report = {
            "status": "ready" if service.worker.alive else "unavailable",
            "model": service.catalogue.base,
            "adapters": list(service.catalogue.adapters),
            "running": statistics.running,
            "waiting": statistics.waiting,
            "blocks_free": statistics.blocks_free,
        }
        return JSONResponse(report, 200 if service.worker.alive else 503)

    async def refuse(request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        request.scope["exchange"].reason = code
        told = ApiError(error.status_code, f"{error.detail}; GET /openapi.json lists what there is", code)
        return JSONResponse(told.body(request.url.path), error.status_code, headers=error.headers)

    posts = {
        "/v1/chat/completions": functools.partial(read_chat, service),
        "/v1/completions": functools.partial(read_completion, service),
        "/api/generate": read_generate,
        "/api/chat": read_ollama_chat,
    }
    app = Starlette(
        routes=[
            *(Route(path, Answering(service, read), methods=["POST"]) for path, read in posts.items()),
            get("/v1/models", lambda _: model_list(service)),
            get("/v1/models/{model:path}", lambda request: model_card(service, request.path_params["model"])),
            get("/api/tags", lambda _: tags(service)),
            get("/api/version", lambda _: Version(version=finqa_lab.__version__)),
            get("/health", health),
            get("/metrics", lambda _: Response(metrics.exposition(), media_type=CONTENT_TYPE)),
            get("/openapi.json", lambda _: JSONResponse(described)),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: refuse, ApiError: _pass_on, Exception: _pass_on},
    )
    app.router.redirect_slashes = False
    return Gate(app, service.settings, log, metrics)


async def _pass_on(request, error: Exception):
    """Errors are the gate's: it knows the dialect and writes the log."""
    raise error
