"""Opens a page of `--format html` in headless Chromium and uses it as a reader does.

    python3 tests/interop/html_page.py PAGE.html [SCREENSHOT.png]

Needs `chromium` and `chromedriver` and nothing else: it speaks the WebDriver protocol itself. What the page should
show is computed here from the JSON it carries. Exits with 0 if all is well, 1 if not, 77 if there is no browser.
"""

import base64
import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

FILTER_MS_MAX = 200
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Browser:
    """A WebDriver session."""

    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}"
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--window-size=1280,900", f"--user-data-dir={profile}",
        ]
        options = {"args": arguments, "binary": shutil.which("chromium")}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        session = self.call("POST", "/session", {"capabilities": wanted})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def script(self, text):
        """Runs a script that calls `done(value)`."""
        body = {"script": f"const done = arguments[0]; {text}", "args": []}
        return self.call("POST", "/execute/async", body)

    def type(self, selector, text):
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[ELEMENT]}/value", {"text": text})

    def settled(self, action):
        """Does something on the page and gives the milliseconds until its effect is on the screen."""
        return self.script(
            f"const start = performance.now(); {action};"
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start))))"
        )


@contextlib.contextmanager
def browser():
    port = free_port()
    with tempfile.TemporaryDirectory() as profile:
        driver = subprocess.Popen(
            [shutil.which("chromedriver"), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.1)
            session = Browser(port, profile)
            yield session
            session.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait()


def check(what, is_so):
    print(f"{'ok  ' if is_so else 'FAIL'} {what}")
    if not is_so:
        check.failed += 1


check.failed = 0


def use(page, path, screenshot):
    html = path.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])
    rows = [
        {"name": row[1] if len(data["registries"]) < 2 else f"{data['registries'][row[0]]}/{row[1]}",
         "tag": row[2], "kind": row[3], "rest": [row[4] or "", row[5] or "", row[6], data["rules"][row[7]]]}
        for row in data["changes"]
    ]

    def matching(word):
        return [row for row in rows if any(word in part.lower() for part in [f"{row['name']}:{row['tag']}", *row["rest"]])]

    page.call("POST", "/url", {"url": path.resolve().as_uri()})
    shown = lambda: page.script("done(Number(document.documentElement.dataset.shown))")
    groups = lambda: int(re.search(r"in (\d+) group", page.script("done(document.getElementById('shown').textContent)"))[1])
    made = lambda: page.script("done(document.querySelectorAll('#groups tbody tr:not(.later)').length)")
    check(f"all {len(rows)} changes are shown", shown() == len(rows))
    check("they are grouped by repository", groups() == len({row["name"] for row in rows}))

    set_text = "document.getElementById('text').value = {}; document.getElementById('text').dispatchEvent(new Event('input', {{bubbles: true}}))"
    words = [rows[len(rows) // 2]["tag"].lower(), rows[-1]["name"].lower(), "no such thing", "a", ""] if rows else [""]
    for word in words:
        took = page.settled(set_text.format(json.dumps(word)))
        check(f"filter {word!r}: {len(matching(word))} left after {took:.0f} ms", shown() == len(matching(word)) or " " in word)
        check(f"filter {word!r} takes less than {FILTER_MS_MAX} ms", took < FILTER_MS_MAX)

    for kind, word in enumerate(["create", "move", "remove"]):
        box = f"document.querySelector('[name=kind][value=\"{kind}\"]').click()"
        took = page.settled(box)
        check(f"without {word}: {took:.0f} ms", shown() == sum(row["kind"] != kind for row in rows) and took < FILTER_MS_MAX)
        page.settled(box)

    took = page.settled("document.getElementById('open').click()")
    check(f"unfolding all takes {took:.0f} ms", took < 1_000)
    check(f"only {made()} rows in sight are made", 0 < made() <= max(600, OPEN_ROWS) if rows else True)
    # The page grows where rows are made, so that its end moves.
    for _ in range(20):
        page.settled("window.scrollTo(0, document.body.scrollHeight)")
    last = rows[-1] if rows else None
    seen = page.script("done([...document.querySelectorAll('#groups details:last-child tbody tr:last-child .tag')].map(cell => cell.textContent))")
    check("the last row is made when scrolled to", last is None or seen[-1:] == [last["tag"]])
    page.settled("document.getElementById('close').click(); window.scrollTo(0, 0)")

    page.type("body", "/")
    check("the key / goes to the filter", page.script("done(document.activeElement.id)") == "text")
    page.type("#text", "stable")
    page.settled("0")
    check("typing filters", shown() == len(matching("stable")))
    page.type("#text", "\ue00c")
    page.settled("0")
    check("Escape shows all again", shown() == len(rows))
    page.script("document.querySelector('#groups summary')?.focus(); done()")
    if rows:
        was_open = page.script("done(document.activeElement.parentElement.open)")
        page.type("#groups summary", "\ue007")
        check("Enter folds and unfolds", page.script("done(document.activeElement.parentElement.open)") != was_open)

    took = page.settled("const by = document.getElementById('group'); by.value = 'tag'; by.dispatchEvent(new Event('input', {bubbles: true}))")
    check(f"grouped by tag in {took:.0f} ms", took < 2 * FILTER_MS_MAX and groups() == len({row["tag"] for row in rows}))
    page.settled("const by2 = document.getElementById('group'); by2.value = 'repository'; by2.dispatchEvent(new Event('input', {bubbles: true}))")

    loaded = page.script("done(performance.getEntriesByType('resource').map(entry => entry.name))")
    check(f"nothing is loaded: {loaded}", loaded == [])
    log = [entry["message"] for entry in page.call("POST", "/se/log", {"type": "browser"})]
    check(f"the console is silent: {log}", log == [])
    if screenshot:
        screenshot.write_bytes(base64.b64decode(page.call("GET", "/screenshot")))


OPEN_ROWS = 200


def main():
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: chromium and chromedriver are not installed")
        return 77
    path, *rest = map(pathlib.Path, sys.argv[1:])
    with browser() as page:
        use(page, path, rest[0] if rest else None)
    print(f"{check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
