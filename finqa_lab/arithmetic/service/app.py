"""The web application: routes, start and end of life."""

import contextlib
import time
from collections.abc import Callable

from finqa_lab.arithmetic.service.batching import Batcher
from finqa_lab.arithmetic.service.engine import Engine
from finqa_lab.arithmetic.service.gate import Gate
from finqa_lab.arithmetic.service.live import LiveEngine
from finqa_lab.arithmetic.service.openapi import schema
from finqa_lab.arithmetic.service.predict import Predict
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.arithmetic.service.settings import Settings
from finqa_lab.arithmetic.service.telemetry import Counters
from finqa_lab.errors import CourseError
from finqa_lab.web.log import JsonLog


def make_app(
    settings: Settings,
    registry: Registry,
    load: Callable[[Registry, str], Engine] | None = None,
    log: JsonLog | None = None,
):
    """The ASGI application: FastAPI behind the gate.

    Args:
        settings: limits and key.
        registry: whose promoted version is served, now and after every later promotion.
        load: makes the engine of a version; the default is the exported graph.
        log: where the JSON lines go; the default is the error stream.

    Raises:
        CourseError: when fastapi is not installed.
    """
    try:
        from fastapi import FastAPI
        from fastapi.responses import JSONResponse, PlainTextResponse
        from starlette.exceptions import HTTPException
        from starlette.routing import Route
    except ImportError:
        raise CourseError("serving needs fastapi: pip install 'finqa-lab[serve]'") from None
    if load is None:
        from finqa_lab.arithmetic.service.graphs import load_engine as load
    log = log or JsonLog()
    counters = Counters()
    live = LiveEngine(registry, load, settings.poll, log)
    batcher = Batcher(settings.max_batch, settings.queue, settings.timeout)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        batcher.start()
        await live.start()
        yield
        await live.close()
        drained = await batcher.close(settings.drain)
        log("stopped", level="info" if drained else "error", drained=drained, decoded=batcher.decoded)
        log.flush()

    app = FastAPI(title="The arithmetic transformer", lifespan=lifespan, docs_url=None, redoc_url=None)
    predictions = {"/predict": Predict(settings, live, batcher, False)}
    predictions["/predict/batch"] = Predict(settings, live, batcher, True)
    for path, endpoint in predictions.items():  # for the router's 405; POST does not come this far
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))

    @app.get("/health")
    async def health() -> JSONResponse:
        trouble = batcher.trouble() or (live.trouble if live.engine is None else None)
        report = {
            "status": "unavailable" if trouble else "ready",
            "reason": trouble,
            "version": live.engine.version if live.engine else None,
            "promotion_problem": live.trouble if live.engine else None,
            "uptime_s": round(time.monotonic() - counters.started, 3),
            "queue_depth": batcher.depth,
            "decoding": batcher.decoding,
            "queue_limit": settings.queue,
        }
        return JSONResponse(report, 503 if trouble else 200)

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        gauges = {
            "queue_depth": batcher.depth,
            "decodes_total": batcher.decodes,
            "problems_decoded_total": batcher.decoded,
            "uptime_seconds": time.monotonic() - counters.started,
        }
        return PlainTextResponse(counters.exposition(gauges), media_type="text/plain; version=0.0.4")

    @app.exception_handler(HTTPException)
    async def refuse(request, error: HTTPException) -> JSONResponse:
        exchange = request.scope["exchange"]
        exchange.reason = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
        mend = "POST /predict or /predict/batch, GET /health, /metrics or /openapi.json"
        refusal = {"reason": exchange.reason, "message": str(error.detail), "mend": mend}
        body = {"error": refusal | {"request_id": exchange.request_id}}
        return JSONResponse(body, error.status_code, headers=error.headers)

    app.openapi = lambda: schema(settings)
    return Gate(app, predictions, log, counters, settings.api_key)
