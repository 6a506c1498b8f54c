"""What each test of the console looks at, whatever page it is about."""

import json
import unittest
from pathlib import Path

import axe_core_python
from browser import Browser
from platform_under_test import Platform
from ports import first_port

# Would run, or break out of its place, wherever data was put into a page as anything but text.
HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}'
AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
# What a page may log: the API refuses what the test has it refuse.
REFUSED = "Failed to load resource: the server responded with a status of"
WIDE, NARROW = (1280, 900), (390, 800)


def start(module):
    """A platform that is ready and a browser that shows its sign-in, for `setUpModule`; they end with the module."""
    ConsoleCase.platform = platform = Platform(port=first_port(module)).__enter__()
    unittest.addModuleCleanup(platform.__exit__)
    platform.wait_until_ready()
    ConsoleCase.browser = browser = Browser()
    unittest.addModuleCleanup(browser.close)
    browser.open(home())
    return platform, browser


def home():
    return f"http://127.0.0.1:{ConsoleCase.platform.port}/"


def sign_in(key=None):
    """With the first workspace's key, or another one; the sign-in is shown, or on its way."""
    browser = ConsoleCase.browser
    browser.wait("document.activeElement?.id === 'key'")
    browser.type(key or ConsoleCase.platform.key)
    browser.press("Enter")
    browser.wait("document.querySelector('nav a[aria-current=page]')")


class ConsoleCase(unittest.TestCase):
    platform = None
    browser = None

    def tearDown(self):
        """After each test: nothing ran that should not, nothing was refused by the policy, nothing left the host."""
        browser = self.browser
        self.assertEqual(browser.violations, [])
        self.assertFalse(browser.run("'hacked' in window"))
        logged, browser.logged = [line for line in browser.logged if not line.startswith(REFUSED)], []
        self.assertEqual(logged, [])
        hosts = {url.split("/")[2] for url in browser.requests if "://" in url}
        self.assertEqual(hosts, {f"127.0.0.1:{self.platform.port}"})

    def check_accessible(self, where):
        """axe-core's rules for WCAG 2.1 A and AA, besides those for forms of good practice."""
        self.browser.run(AXE + "; 0")
        found = self.browser.run("""axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
            violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`))""")
        self.assertEqual(found, [], where)

    def check_pages(self, pages):
        """Each page `(place, heading, text)` wide and light, wide and dark, and narrow in both."""
        try:
            for size in (WIDE, NARROW):
                for dark in (False, True):
                    self.browser.resize(*size, dark=dark)
                    for place, heading, text in pages:
                        with self.subTest(place=place, width=size[0], dark=dark):
                            self.check_page(place, heading, text, size[0])
        finally:
            self.browser.resize(*WIDE)

    def check_page(self, place, heading, text, width):
        # A page that is left and entered again is drawn anew, in the colours of now.
        self.browser.go("#/nowhere", "There is no such page", "main h2")
        self.browser.go(place, heading)
        self.browser.wait_text(text)
        self.check_accessible(place)
        self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), width)

    def tab_to(self, condition, most=60):
        for _ in range(most):
            if self.browser.run(f"Boolean({condition})"):
                return
            self.browser.press("Tab")
        self.fail(f"Tab does not lead to where {condition}")

    def run_query(self, sql):
        """Writes a statement on the query page and runs it."""
        self.browser.wait("document.querySelector('.CodeMirror')")
        self.browser.run(f"document.querySelector('.CodeMirror').CodeMirror.setValue({json.dumps(sql)})")
        self.browser.click("button", "Run")

    def count(self, selector):
        return self.browser.run(f"document.querySelectorAll({json.dumps(selector)}).length")
