"""A headless Chromium that looks at the built book, driven through its DevTools protocol.

Only what the checks of the book need: open a page of a folder at a given width, ask it something in JavaScript, press
Tab, take a picture, and say what it asked of the network. Requests to any host but the folder's own are answered "no
such host", so a page that needs one is seen to need it. Source: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import functools
import http.server
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from finqa_lab.errors import CourseError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 120.0
"""Seconds for a browser to start, a page to load, or a script to answer; a long page on a busy machine takes some."""
_READY = """new Promise(done => {
  const typeset = window.MathJax?.startup?.promise ?? Promise.resolve();
  const widgets = document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]') ? 1500 : 0;
  typeset.then(() => document.fonts.ready).then(() => setTimeout(done, 100 + widgets));
})"""


def find() -> str:
    """The path of an installed Chromium or Chrome, or "" when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


class Page:
    """One tab. ``requests`` and ``complaints`` are those since the last :meth:`open`."""

    def __init__(self, socket, base: str):
        self._socket, self._ids, self.base = socket, itertools.count(1), base
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # a hidden window answers no key

    def call(self, method: str, **parameters) -> dict:
        """Send one command of the protocol and wait for its result; events that come before it are noted."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise CourseError(f"the browser refuses {method}: {message['error'].get('message')}")
                return message["result"]
            self._note(message)

    def open(self, name: str, width: int = 1280, height: int = 900) -> None:
        """Show a page of the folder, such as ``"book/index.html"``, and wait for mathematics, fonts and widgets."""
        self.requests, self.complaints, self._loaded, self._width = [], [], False, width
        self._resize(height)
        self.call("Page.navigate", url=f"{self.base}/{name}")
        end = time.monotonic() + PATIENCE
        while not self._loaded:
            if time.monotonic() > end:
                raise CourseError(f"page {name} did not load within {PATIENCE:.0f} s")
            self._note(json.loads(self._socket.recv()))
        self.evaluate(_READY)

    def evaluate(self, script: str):
        """The value of a JavaScript expression, which may be a promise; it must be JSON.

        Raises:
            CourseError: when the script throws.
        """
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise CourseError(f"a script fails in the page: {details.get('exception', details).get('description')}")
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press and release one key, such as ``press("Tab", 9)``."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path, top: int = 0, height: int = 900) -> Path:
        """Write a picture of the page from ``top`` downwards, at most to its end."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        tall = max(1, min(height, size["height"] - top))
        self._resize(top + tall)  # a part outside of the window is drawn while the page moves
        clip = {"x": 0, "y": top, "width": size["width"], "height": tall, "scale": 1}
        found = self.call("Page.captureScreenshot", clip=clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def _resize(self, height: int) -> None:
        size = {"width": self._width, "height": height, "deviceScaleFactor": 1, "mobile": self._width < 700}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def _note(self, message: dict) -> None:
        method, values = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            address = values["request"]["url"]
            self.requests.append(address)
            if not address.startswith((self.base, "data:", "blob:", "about:")):
                self.complaints.append(f"asks {address}")
        elif method == "Network.responseReceived" and values["response"]["status"] >= 400:
            path = urlsplit(values["response"]["url"]).path
            self.complaints.append(f"asks for {path}, which is answered {values['response']['status']}")
        elif method == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details["text"]
            self.complaints.append(f"script error: {text.splitlines()[0]}")


@contextmanager
def looking_at(folder: Path) -> Iterator[Page]:
    """A browser that sees one folder through HTTP on loopback: ``with looking_at(html) as page: page.open(...)``.

    Raises:
        CourseError: when no Chromium is installed, or it does not start.
    """
    import websocket

    program = find()
    if not program:
        raise CourseError("no Chromium or Chrome is installed; on Debian or Ubuntu: apt-get install chromium")
    temporary = tempfile.TemporaryDirectory(prefix="finqa-browser-", ignore_cleanup_errors=True)
    with temporary as profile, _serving(folder) as base:
        options = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--hide-scrollbars"]
        options += ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--remote-allow-origins=*"]
        options += ["--disable-background-networking", "--disable-component-update"]
        options += ["--no-sandbox"]  # containers offer none to it, and it sees only the course's own pages
        options += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        process = subprocess.Popen(
            [program, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            socket = websocket.create_connection(_address(Path(profile), process), timeout=PATIENCE)
            try:
                yield Page(socket, base)
            finally:
                socket.close()
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(profile: Path, process: subprocess.Popen) -> str:
    """The WebSocket address of the first tab, once the browser says on which port it listens."""
    import urllib.request

    port, end = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        lines = port.read_text().splitlines() if port.exists() else []
        if len(lines) == 2:
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=PATIENCE) as reply:
                tabs = [tab for tab in json.load(reply) if tab["type"] == "page"]
            if tabs:
                return tabs[0]["webSocketDebuggerUrl"]
        time.sleep(0.05)
    raise CourseError(f"the browser did not start within {PATIENCE:.0f} s")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
