"""A real browser without a window, driven over the WebDriver protocol (W3C) with the standard library alone.

Tests have the marker `browser`: they need chromium and chromedriver (Debian: `apt install chromium-driver`).
"""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from perfmodel.cli import main

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
KEYS = {"tab": "\ue004", "enter": "\ue007", "space": " "}
START_S, ANSWER_S = 30, 120


class Driver:
    """A chromedriver process; `open` starts a browser with a profile of its own."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [shutil.which("chromedriver"), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        last = time.monotonic() + START_S
        while True:
            try:
                if call("GET", f"{self.url}/status")["ready"]:
                    return
            except OSError:
                if time.monotonic() > last:
                    self.close()
                    raise
            time.sleep(0.05)

    def open(self):
        """A new browser."""
        folder = tempfile.mkdtemp(prefix="perfmodel-browser-")
        options = {
            "binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={folder}"],
            "perfLoggingPrefs": {"enableNetwork": True},
        }  # fmt: skip
        logging = {"browser": "ALL", "performance": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logging}
        made = call("POST", f"{self.url}/session", {"capabilities": {"alwaysMatch": wanted}})
        return Browser(f"{self.url}/session/{made['sessionId']}", folder)

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class Browser:
    """One window."""

    def __init__(self, url, folder):
        self.url, self.folder = url, folder

    def post(self, what, **body):
        return call("POST", f"{self.url}/{what}", body)

    def go(self, address):
        self.post("url", url=address)

    def run(self, script, *arguments):
        """What a script returns that runs in the page: the body of a function."""
        return self.post("execute/sync", script=script, args=list(arguments))

    def devtools(self, command, **parameters):
        return self.post("goog/cdp/execute", cmd=command, params=parameters)

    def size(self, width, height=900):
        """The page's width and height, whatever the window's frame takes."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def media(self, scheme="light", kind=""):
        """The preferred colours, and screen or print."""
        wanted = [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}
        ]  # fmt: skip
        self.devtools("Emulation.setEmulatedMedia", media=kind, features=wanted)
        self.settle()

    def settle(self):
        """Wait until the page has been drawn anew: what it does when something changes is done by then."""
        self.post("execute/async", script="requestAnimationFrame(() => requestAnimationFrame(arguments[0]))", args=[])

    def press(self, *keys):
        strokes = [
            {"type": way, "value": KEYS.get(key, key)} for key in keys for way in ("keyDown", "keyUp")
        ]  # fmt: skip
        self.post("actions", actions=[{"type": "key", "id": "keys", "actions": strokes}])

    def click(self, selector):
        found = self.post("element", using="css selector", value=selector)
        self.post(f"element/{next(iter(found.values()))}/click")

    def log(self, kind):
        """What the browser logged since the last time; each entry of the kind performance as what DevTools said."""
        entries = self.post("se/log", type=kind)
        if kind == "performance":
            return [json.loads(entry["message"])["message"] for entry in entries]
        return [entry["message"] for entry in entries]

    def picture(self, top, height, width):
        """A PNG of a part of the page."""
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        made = self.devtools("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(made["data"])

    def paper(self):
        """The page as PDF, on A4."""
        made = self.post("print", page={"width": 21.0, "height": 29.7}, orientation="landscape", background=False)
        return base64.b64decode(made)

    def close(self):
        try:
            call("DELETE", self.url)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def call(method, url, body=None):
    """The value that a command returns; `RuntimeError` with the driver's words where it fails."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is this machine
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)["value"]["message"]) from None


@pytest.fixture(scope="session")
def driver():
    """The process that starts browsers; the test is skipped where one of the programs is absent."""
    if missing := [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    running = Driver()
    yield running
    running.close()


@pytest.fixture(scope="session")
def report_file(tmp_path_factory):
    """The report of the bundled traces, and of one that holds accuracies."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    root = Path(__file__).parents[2]
    traces = [*sorted((root / "traces").glob("*.jsonl")), root / "tests/data/digits/muppet.jsonl"]
    assert main(["report", *map(str, traces), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def window(driver):
    """One browser for all tests, each of which opens the page anew."""
    browser = driver.open()
    yield browser
    browser.close()


@pytest.fixture
def browser(window, report_file):
    """The report opened in light colours, 1200 pixels wide; what was logged before is forgotten."""
    window.devtools("Emulation.setScriptExecutionDisabled", value=False)
    window.media()
    window.size(1200)
    window.log("browser")
    window.log("performance")
    window.go(report_file.as_uri())
    window.settle()
    return window
