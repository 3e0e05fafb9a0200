"""A headless Chromium, spoken to in the WebDriver protocol."""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

from world import Missing, free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
STARTS_WITHIN_S = 60
PROGRAMS = ["chromium", "chromedriver"]
# The last ones keep it from calling home.
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--window-size=1280,900",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
]


class Browser:
    """A session with one page."""

    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}"
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, path):
        self.call("POST", "/url", {"url": path.resolve().as_uri()})

    def emulate(self, command, **parameters):
        """Sends a command of the DevTools protocol."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def value(self, expression):
        """The value of an expression of JavaScript."""
        return self.call("POST", "/execute/sync", {"script": f"return {expression};", "args": []})

    def settled_ms(self, action):
        """Does something and gives the milliseconds, by the page's own clock, until its effect is on the screen."""
        script = (
            f"const done = arguments[0], start = performance.now(); {action};"
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start))))"
        )
        return self.call("POST", "/execute/async", {"script": script, "args": []})

    def type(self, selector, text):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[ELEMENT]}/value", {"text": text})
        self.settled_ms("0")

    def console(self):
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]


@contextlib.contextmanager
def browser():
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        raise Missing(" and ".join(missing))
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        driver = subprocess.Popen([shutil.which("chromedriver"), f"--port={port}"], **quiet)
        try:
            wait_for_port(port)
            session = Browser(port, profile)
            try:
                yield session
            finally:
                session.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait()


def wait_for_port(port):
    end = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, "the driver did not come up"
            time.sleep(0.1)
