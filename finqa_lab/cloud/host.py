"""What the image does around the handler: HTTP on one port, ``/ping`` and ``/invocations``.

This file imports nothing but the standard library and the ``inference`` module that it finds on its path: in
production the image brings its own server, and only the archive is ours. It listens before the model is loaded and
answers ``/ping`` with 503 until then, decodes one request at a time, and ends on SIGTERM when the request in hand is
answered. :mod:`finqa_lab.cloud.container` starts it as a process of its own.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOO_LARGE = "the body is larger than the service passes on"


class Host(ThreadingHTTPServer):
    """The server; the handler's module and its model are set when they are loaded."""

    daemon_threads = False  # a request in hand is answered before the process ends

    def __init__(self, port: int, body_limit: int):
        super().__init__(("127.0.0.1", port), Exchange)
        self.body_limit, self.one_at_a_time = body_limit, threading.Lock()
        self.handler = self.model = None

    def load(self, model_dir: str) -> None:
        """Import the handler and read the model; raises what they raise."""
        handler = importlib.import_module("inference")
        self.model = handler.model_fn(model_dir)
        self.handler = handler  # last: it says that requests can be answered

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[int, str]:
        """Status and body for one request."""
        handler = self.handler
        try:
            request = handler.input_fn(body, content_type)
            with self.one_at_a_time:
                prediction = handler.predict_fn(request, self.model)
            return 200, handler.output_fn(prediction, accept)
        except Exception as error:
            status = getattr(error, "status_code", 500)
            kind = getattr(error, "phrase", type(error).__name__)
            if status == 500:
                traceback.print_exc()
            message = getattr(error, "message", None) or f"the handler failed with {type(error).__name__}"
            return status, refusal(kind, message)


class Exchange(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 75  # a client that sends nothing does not hold a thread for ever

    def do_GET(self):
        """The health check."""
        if self.path != "/ping":
            return self._send(404, refusal("not_found", "GET /ping or POST /invocations"))
        return self._send(200 if self.server.handler is not None else 503, "")

    def do_POST(self):
        """A prediction."""
        if self.path != "/invocations":
            return self._send(404, refusal("not_found", "GET /ping or POST /invocations"))
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            return self._send(411, refusal("malformed", "a body with its Content-Length is needed"))
        if int(length) > self.server.body_limit:
            return self._send(413, refusal("malformed", TOO_LARGE))
        if self.server.handler is None:
            return self._send(503, refusal("loading", "the model is still being loaded"))
        body = self.rfile.read(int(length))
        kind = self.headers.get("Content-Type", "application/json")
        return self._send(*self.server.answer(body, kind, self.headers.get("Accept", "application/json")))

    def _send(self, status: int, text: str) -> None:
        payload = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if status in (411, 413):  # the body was not read, so nothing more can be read from this connection
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, form, *values):
        """No line for each request: a body can hold what its sender would not want in a log."""


def refusal(kind: str, message: str) -> str:
    """The JSON body of an error."""
    return json.dumps({"error": {"type": kind, "message": message}})


def main(arguments=None) -> int:
    """Serve until SIGTERM; 1 when the model cannot be loaded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--body-limit", type=int, default=6 * 1024 * 1024)
    chosen = parser.parse_args(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = Host(chosen.port, chosen.body_limit)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    print(json.dumps({"event": "listening", "port": server.server_address[1]}), flush=True)
    try:
        server.load(chosen.model_dir)
    except Exception:  # the handler is a stranger's code: whatever it raises is what the log of a container shows
        traceback.print_exc()
        return 1
    print(json.dumps({"event": "loaded", "handler": server.handler.__file__}), flush=True)
    parent = os.getppid()
    while not stop.wait(1.0) and os.getppid() == parent:  # a container does not outlive the one who started it
        pass
    server.shutdown()
    server.server_close()  # waits for the requests in hand
    return 0


if __name__ == "__main__":
    sys.exit(main())
