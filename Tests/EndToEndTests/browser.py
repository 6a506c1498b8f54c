"""Headless Chromium from Debian, driven by its own protocol (CDP) over one WebSocket."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

KEYS = {
    "Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "ArrowRight": (39, ""), "ArrowLeft": (37, ""),
    "ArrowDown": (40, ""), "Home": (36, ""), "End": (35, ""),
    "Backspace": (8, ""), "a": (65, ""),
}


class Browser:
    """One page. What it logs, refuses and asks for is in `logged`, `violations` and `requests`."""

    def __init__(self, width=1280, height=900):
        self.folder = tempfile.mkdtemp(prefix="millrace-browser-")
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
             "--disable-features=OptimizationHints,MediaRouter,Translate",
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder}", f"--window-size={width},{height}",
             "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"HOME": self.folder})
        try:
            self.numbers = itertools.count(1)
            self.logged, self.requests, self.connection = [], [], None
            self.connection = connect(self.address(), max_size=None, ping_interval=None)
            self.socket = self.connection.__enter__()
            targets = self.call("Target.getTargets")["targetInfos"]
            target = next(one["targetId"] for one in targets if one["type"] == "page")
            self.session = None
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
                self.call(f"{domain}.enable")
            self.call("Page.addScriptToEvaluateOnNewDocument", source="""
                window.violations = [];
                addEventListener("securitypolicyviolation", (event) =>
                    violations.push([event.violatedDirective, event.blockedURI, event.sourceFile].join(" ")));
                """)
            self.resize(width, height)
        except BaseException:
            self.close()
            raise

    def address(self):
        file = Path(self.folder) / "DevToolsActivePort"
        deadline = time.monotonic() + 30
        while True:
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            assert self.process.poll() is None and time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.02)

    def close(self):
        if self.connection:
            self.connection.__exit__(None, None, None)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.note(answer)

    def note(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.logged.append(json.dumps(parameters["exceptionDetails"])[:1000])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.logged.append(json.dumps(parameters["args"])[:1000])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.logged.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")

    def run(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def wait(self, expression, seconds=20):
        """The expression's value once that is true."""
        deadline = time.monotonic() + seconds
        # An element is no value that could be sent.
        expression = f"((found) => found instanceof Node ? true : found)({expression})"
        while not (value := self.run(expression)):
            if time.monotonic() > deadline:
                text = self.run("document.body.innerText")
                raise AssertionError(f"not within {seconds} s: {expression}\n{text[:3000]}\n{self.logged}")
            time.sleep(0.03)
        return value

    def open(self, url):
        # Another part behind `#` alone would load nothing.
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def go(self, fragment, heading, selector="main h1"):
        """Goes to a page of the console and waits until its heading is there."""
        self.run(f"location.hash = {json.dumps(fragment)}")
        self.wait(f"document.querySelector({json.dumps(selector)})?.textContent === {json.dumps(heading)}")

    def text(self, selector="main"):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def wait_text(self, text, selector="main", seconds=20):
        place = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"({place}?.innerText ?? '').includes({json.dumps(text)})", seconds)

    def click(self, role, name):
        """Clicks the visible element of a tag whose text begins so, with the mouse, once it stands still."""
        place = self.wait(f"""(async () => {{
            const found = [...document.querySelectorAll({json.dumps(role)})].find((one) =>
                one.textContent.trim().startsWith({json.dumps(name)}) && one.checkVisibility() && !one.disabled);
            if (!found) return null;
            found.scrollIntoView({{ block: "center" }});
            const frame = () => new Promise((go) => requestAnimationFrame(go));
            const middle = () => {{
                const box = found.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }};
            const before = middle();
            await frame();
            await frame();
            const now = middle();
            const isStill = before.every((one, at) => one === now[at]);
            return isStill && found.contains(document.elementFromPoint(...now)) ? now : null;
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def fill(self, label, value):
        """Gives the field with a label a value, as typing does; a select's option too."""
        self.wait(f"""(() => {{
            const label = [...document.querySelectorAll("label")].findLast((one) =>
                one.textContent.trim() === {json.dumps(label)} && one.checkVisibility());
            const field = label && document.getElementById(label.htmlFor);
            if (!field) return false;
            field.value = {json.dumps(value)};
            field.dispatchEvent(new Event("input", {{ bubbles: true }}));
            field.dispatchEvent(new Event("change", {{ bubbles: true }}));
            return true;
        }})()""")

    def choose(self, name, value):
        """Chooses an option of the select with an accessible name."""
        self.run(f"""(() => {{
            const field = document.querySelector(`select[aria-label="${{{json.dumps(name)}}}"]`);
            field.value = {json.dumps(value)};
            field.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }})()""")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, modifiers=0):
        """A key with modifiers: 2 is Ctrl, 8 Shift."""
        code, text = KEYS[key]
        shared = {"key": key, "code": "KeyA" if key == "a" else key, "windowsVirtualKeyCode": code,
                  "modifiers": modifiers}
        typed = {"text": text} if text and not modifiers else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **shared, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def resize(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path, whole=False):
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(answer["data"]))

    @property
    def violations(self):
        return self.run("window.violations ?? []")
