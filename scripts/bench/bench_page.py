"""The page's first load: bytes over the wire (goal: 150 KB) and the time until one can type, at a quarter of the speed.

    .venv/bin/python scripts/bench/bench_page.py

A real Chromium, the system's, with an empty cache, opens the link that the gateway prints. Bytes are what the browser
counts, heads included. One can type when the composer has the focus; the goal is 1 s with a processor four times slower.
Beside it stands a page of one field and one line of script on a bare server: what the browser itself needs on this machine.
"""

import http.server
import os
import statistics
import threading

import common
from playwright.sync_api import Browser, sync_playwright

GOAL_BYTES, GOAL_SECONDS = 150_000, 1.0
RUNS = 5
SETTLED = 2500  # ms: a new window loads pages of its own, which are not to be measured
READY = "addEventListener('focusin', () => { window.ready ??= performance.now() })"


class BarePage(http.server.BaseHTTPRequestHandler):
    """A field that a script puts the focus on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page or its script."""
        script = self.path == "/main.js"
        text = (
            "document.querySelector('input').focus()"
            if script
            else "<!doctype html><input><script type=module src=main.js></script>"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Not wanted here."""


def load(browser: Browser, url: str, slower: int) -> tuple[int, int, float]:
    """One first load: bytes, requests, seconds until one can type."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(READY)
    session = context.new_cdp_session(page)
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.wait_for_timeout(SETTLED)
    page.goto(url)
    page.wait_for_function("() => window.ready !== undefined")
    seconds = float(page.evaluate("window.ready")) / 1000
    page.wait_for_timeout(500)
    context.close()
    return sum(sizes), len(sizes), seconds


def compare(browser: Browser, ours: str, bare: str, slower: int) -> None:
    """The medians of some loads, and of the bare page's in between."""
    runs, others = [], []
    for _ in range(RUNS):
        runs.append(load(browser, ours, slower))
        others.append(load(browser, bare, slower))
    size = statistics.median(run[0] for run in runs)
    seconds, floor = (statistics.median(run[2] for run in some) for some in (runs, others))
    print(
        f"processor 1/{slower}: {size / 1000:.1f} KB in {runs[0][1]} requests (goal {GOAL_BYTES // 1000} KB),"
        f" can be typed in after {seconds:.2f} s (goal {GOAL_SECONDS:.0f} s at 1/4),"
        f" {seconds / floor:.1f} x the bare page ({floor:.2f} s)"
    )


def main() -> None:
    """Load it some times at each speed, and print the medians."""
    bare = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BarePage)
    threading.Thread(target=bare.serve_forever, daemon=True).start()
    with common.bench("The page's first load") as folder, sync_playwright() as playwright:
        os.sched_setaffinity(0, common.CORES)  # a browser is many processes
        server = common.gateway(folder / "home")
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            server.wait_healthy()
            ours = f"http://127.0.0.1:{server.port}/#token={common.TOKEN}"
            load(browser, ours, 1)  # the first one also wakes the gateway
            for slower in (1, 4):
                compare(browser, ours, f"http://127.0.0.1:{bare.server_port}/", slower)
        finally:
            browser.close()
            server.stop()
            bare.shutdown()


if __name__ == "__main__":
    main()
