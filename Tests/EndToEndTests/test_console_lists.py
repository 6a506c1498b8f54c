"""The console where there is nothing yet, and where there is more than one page of it, in headless Chromium."""

import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from console_case import ConsoleCase, sign_in, start  # noqa: E402
from platform_under_test import wait_for  # noqa: E402
from table_locks import held  # noqa: E402

NDJSON = "application/x-ndjson"


def seed():
    """More of each than a page holds: 55 sources and datasets, 120 batches of one source, their jobs, and runs."""
    columns = [{"name": "n", "type": "int8"}, {"name": "m", "type": "int8"}]
    for number in range(54):
        platform.must("PUT", f"/v1/sources/s{number:02}", json.dumps({"retention": {"raw": "7d"}}))
        platform.must("PUT", f"/v1/datasets/s{number:02}", json.dumps({"columns": columns}))
    put_pipeline([])
    for number in range(120):
        platform.must("POST", "/v1/ingest/zz_busy", json.dumps({"n": number, "m": number}), content_type=NDJSON)
    platform.wait_finished("zz_busy")
    batch = platform.must("GET", "/v1/batches?source=zz_busy&limit=1")["items"][0]["id"]
    for _ in range(105):
        platform.must("POST", "/v1/pipelines/zz_busy/replay?dry_run=true", json.dumps({"batches": [batch]}))
    platform.must("PUT", "/v1/workspaces/blank", "{}")


def put_pipeline(steps):
    platform.must("PUT", "/v1/pipelines/zz_busy", json.dumps(
        {"source": "zz_busy", "steps": steps, "target": {"dataset": "zz_busy"}}))


def setUpModule():
    global platform, browser
    platform, browser = start(__file__)
    seed()
    sign_in()


def tile(name):
    return f"[...document.querySelectorAll('.tile')].find((one) => one.innerText.startsWith({json.dumps(name)}))"


class EmptyPages(ConsoleCase):
    def test_every_page_says_what_to_do_first(self):
        key = platform.must("POST", "/v1/keys", json.dumps({"name": "t", "scopes": ["admin"], "workspace": "blank"}))
        browser.run("sessionStorage['millrace-query'] = 'select * from zz_busy'")
        browser.click("button", "Sign out")
        sign_in(key["key"])
        try:
            self.assertEqual(browser.run("({ ...sessionStorage })"), {})
            self.check_pages([
                ("#/overview", "Overview", "Send a first record"), ("#/sources", "Sources", "Send a first record"),
                ("#/datasets", "Datasets", "Send a first record"), ("#/pipelines", "Pipelines", "No pipeline yet"),
                ("#/quarantine", "Quarantine", "Nothing is in quarantine"), ("#/runs", "Runs", "No runs yet"),
                ("#/queues", "Queues and jobs", "No jobs here"), ("#/rollups", "Rollups", "No rollup yet"),
                ("#/query?run=1", "Query", "1 row in"), ("#/endpoints", "Endpoints", "No endpoint yet"),
                ("#/dashboards", "Dashboards", "No dashboard yet"), ("#/keys", "Keys", "admin"),
            ])
            # What an empty page shows to be done can be done as it stands.
            browser.go("#/rollups", "Rollups")
            text = wait_for("the example", lambda: browser.text("pre"))
            self.assertIn(f"http://127.0.0.1:{platform.port}/v1/rollups/orders_by_hour", text)
            json.loads(text[text.index("-d '") + 4:text.rindex("'")])
        finally:
            browser.click("button", "Sign out")
            sign_in()


class LongLists(ConsoleCase):
    def test_the_overview_counts_all_sources_and_datasets(self):
        platform.must("POST", "/v1/queues/transform/pause")
        try:
            platform.must("POST", "/v1/ingest/zz_last", '{"n": 1}', content_type=NDJSON)
            browser.go("#/overview", "Overview")
            browser.wait(f"{tile('Longest lag')}?.innerText.includes('the oldest record not stored yet')")
            browser.wait_text("zz_last", "tbody")
            sources = len(platform.must("GET", "/v1/sources?limit=1000")["items"])
            self.assertGreater(sources, 55)
            browser.wait_text(f"The 50 of {sources} that lag or bring most.")
            self.assertEqual(self.count("tbody tr"), 50)
            self.assertTrue(browser.text("tbody tr").startswith("zz_last"), "the one that lags is the first")
        finally:
            platform.must("POST", "/v1/queues/transform/resume")
        browser.wait(f"{tile('Longest lag')}?.innerText.includes('all is stored')")

    def test_the_overview_counts_the_last_datasets_quarantine(self):
        platform.must("POST", "/v1/ingest/zz_odd?wait=stored", "[1]\n[2]\n", content_type=NDJSON)
        browser.go("#/overview", "Overview")
        browser.wait(f"/quarantine\\s+[1-9]/.test({tile('In quarantine')}?.innerText)")
        browser.go("#/quarantine", "Quarantine")
        browser.wait_text("zz_odd")
        browser.wait_text("not an object")

    def test_what_is_not_all_says_so(self):
        """A list that ends before its items do says that it does."""
        browser.go("#/sources", "Sources")
        shown = browser.run("""(async () => {
            const { all } = await import("/console/api.js");
            const { liveTable } = await import("/console/ui.js");
            const table = liveTable("Test", [{ title: "Name", text: (item) => item.name }], (item) => item.name);
            const told = [];
            for (const most of [10, 1000]) {
                table.update(await all("/v1/sources", { limit: 10 }, undefined, most));
                told.push(table.querySelector("p:not([hidden])")?.textContent ?? "");
            }
            return told;
        })()""")
        self.assertEqual(shown, ["Only these 10 are shown; there are more.", ""])

    def more(self, place, heading, selector="tbody tr"):
        browser.go(place, heading)
        browser.wait(f"document.querySelectorAll('{selector}').length === 100")
        browser.click("button", "Show more")
        browser.wait(f"document.querySelectorAll('{selector}').length > 100")

    def test_lists_go_on(self):
        self.more("#/sources/zz_busy", "zz_busy")
        browser.wait("!document.querySelector('.more').checkVisibility()")
        self.assertEqual(self.count("tbody tr"), 120)
        self.more("#/runs", "Runs")
        self.more("#/queues?state=succeeded", "Queues and jobs", "section:last-of-type tbody tr")
        self.check_accessible("jobs")
        # Another filter begins at the first page.
        browser.choose("State of jobs", "")
        browser.wait("document.querySelectorAll('section:last-of-type tbody tr').length === 100")

    def test_lists_go_on_by_keyboard(self):
        browser.go("#/sources/zz_busy", "zz_busy")
        browser.wait("document.querySelector('.more').checkVisibility()")
        self.tab_to("document.activeElement.textContent === 'Show more'", 200)
        browser.press("Enter")
        browser.wait("document.querySelectorAll('tbody tr').length === 120")
        # The button is gone; who pressed it is still there.
        browser.wait("document.activeElement?.classList.contains('scroll')")


class Reasons(ConsoleCase):
    def send(self, *records):
        platform.must("POST", "/v1/ingest/zz_busy", "\n".join(map(json.dumps, records)), content_type=NDJSON)
        platform.wait_finished("zz_busy")

    def left(self):
        items = platform.must("GET", "/v1/datasets/zz_busy/quarantine?limit=100")["items"]
        return sorted({error["column"] for item in items for error in item["errors"]})

    def test_one_reason_is_healed_and_no_other(self):
        cast = {"cast": {"n": "int8", "m": "int8"}}
        put_pipeline([cast])
        self.send({"n": "1kg", "m": 1}, {"n": 2, "m": "2kg"}, {"n": 3, "m": "3kg"})
        put_pipeline([{"derive": {name: f"replace({name}::text, 'kg', '')"}} for name in "nm"] + [cast])
        browser.go("#/quarantine/zz_busy", "zz_busy")
        browser.wait("document.querySelectorAll('tbody tr').length === 2")
        self.assertEqual(self.left(), ["m", "n"])
        browser.click("tbody button", "Heal invalid cast in m at steps[0].cast of zz_busy")
        browser.wait_text("the records with the reason “invalid cast in m at steps[0].cast of zz_busy”", "dialog")
        browser.click("dialog button", "Heal")
        browser.wait_text("2 rows stored, 0 records still failing")
        self.assertEqual(self.left(), ["n"])
        browser.wait("document.querySelectorAll('tbody tr').length === 1")
        # The other one by keyboard.
        browser.go("#/sources", "Sources")
        browser.go("#/quarantine/zz_busy", "zz_busy")
        browser.wait_text("invalid cast", "tbody")
        self.tab_to("document.activeElement.textContent.startsWith('Heal invalid cast in n')")
        browser.press("Enter")
        browser.wait("document.activeElement?.closest('dialog')")
        self.tab_to("document.activeElement.closest('dialog') && document.activeElement.textContent === 'Heal'", 5)
        browser.press("Enter")
        browser.wait_text("1 row stored, 0 records still failing")
        browser.wait_text("Nothing is in quarantine")
        self.assertEqual(self.left(), [])

    def test_the_records_of_a_quarantine_go_on_by_keyboard(self):
        platform.must("POST", "/v1/ingest/zz_many?wait=stored", "[1]\n" * 25, content_type=NDJSON)
        browser.go("#/quarantine/zz_many", "zz_many")
        browser.wait("document.querySelectorAll('article.record').length === 20")
        self.tab_to("document.activeElement.textContent === 'Show more'", 100)
        browser.press("Enter")
        browser.wait("document.querySelectorAll('article.record').length === 25")
        browser.wait("document.activeElement?.matches('article.record')")


class Progress(ConsoleCase):
    def test_a_rollup_tells_how_far_it_is(self):
        platform.must("PUT", "/v1/datasets/sold", json.dumps({"columns": [
            {"name": "at", "type": "timestamptz"}, {"name": "shop", "type": "text"}, {"name": "n", "type": "int8"}]}))
        platform.must("POST", "/v1/ingest/sold?wait=stored",
                      '{"at": "2026-03-01T10:00:00Z", "shop": "north", "n": 9007199254740993}', content_type=NDJSON)
        platform.must("POST", "/v1/queues/analytics/pause")
        try:
            platform.must("PUT", "/v1/rollups/sold_by_day", json.dumps({
                "dataset": "sold", "time": {"column": "at", "grain": "day"}, "dimensions": ["shop"],
                "measures": {"most": "max(n)"}}))
            # As it is in the middle of a large table.
            platform.sql("update millrace.rollup set state = 'backfilling', blocks = '{10}', leaf = 1, block = 4")
            browser.go("#/rollups", "Rollups")
            browser.wait_text("40 %")
            browser.wait_text("backfilling")
            self.assertEqual(browser.run("document.querySelector('tbody progress').value"), 0.4)
            self.check_accessible("a rollup that is filled")
            browser.click("a", "sold_by_day")
            browser.wait_text("40 %")
            platform.sql("update millrace.rollup set state = 'preparing', blocks = '{}', leaf = 1, block = 0")
        finally:
            platform.must("POST", "/v1/queues/analytics/resume")
        platform.must("DELETE", "/v1/rollups/sold_by_day")
        platform.must("PUT", "/v1/rollups/sold_by_day", json.dumps({
            "dataset": "sold", "time": {"column": "at", "grain": "day"}, "dimensions": ["shop"],
            "measures": {"most": "max(n)"}}))
        browser.go("#/rollups", "Rollups")
        browser.wait_text("filled", "tbody")
        browser.click("a", "sold_by_day")
        browser.wait_text("100 %")
        browser.wait_text("9007199254740993", ".result")
        numbers = browser.run("[...document.querySelectorAll('.result td.number')].map((one) => one.textContent)")
        self.assertEqual(numbers, ["9007199254740993"], "it stands as a number does, with every digit")
        self.check_accessible("a rollup")
        browser.click("button", "Delete")
        browser.fill("Type sold_by_day to confirm", "sold_by_day")
        browser.click("dialog button", "Delete the rollup")
        browser.wait_text("No rollup yet")

    def test_a_query_tells_for_how_long_and_is_stopped(self):
        browser.go("#/query", "Query")
        self.run_query("select count(*) from generate_series(1, 123456) a, generate_series(1, 123456) b")
        browser.wait("document.querySelector('[role=timer]')?.textContent.match(/^[1-9][0-9]* s$/)")
        self.assertIn("Running …", browser.text(".working [role=status]"))
        self.check_accessible("a query that runs")
        running = "select count(*) from pg_stat_activity where state = 'active' and query like '%123456%' " \
                  "and pid <> pg_backend_pid()"
        self.assertEqual(platform.sql(running), "1")
        browser.click("button", "Stop")
        browser.wait_text("Stopped.")
        wait_for("the query's end", lambda: platform.sql(running) == "0")
        browser.wait("!document.querySelector('.working')")

    def test_a_profile_tells_for_how_long_and_is_stopped(self):
        browser.go("#/datasets/zz_busy", "zz_busy")
        browser.wait_text("Trace")
        with held(platform, "ws_default.zz_busy", "access exclusive"):
            browser.click("button", "Profile")
            self.stop_after_a_second()
        browser.click("button", "Look again")
        browser.wait_text("Most frequent")

    def test_reading_rows_tells_for_how_long_and_is_stopped(self):
        browser.go("#/datasets/zz_busy", "zz_busy")
        browser.wait_text("Trace")
        with held(platform, "ws_default.zz_busy", "access exclusive"):
            browser.fill("Where", "n >= 0")
            browser.click("button", "Show")
            self.stop_after_a_second()
        browser.click("button", "Show")
        browser.wait_text("100 rows shown.")
        # Pressed twice: the page comes once.
        browser.run("""(() => {
            const more = [...document.querySelectorAll("button")].find((one) => one.textContent === "Show more rows");
            more.click();
            more.click();
        })()""")
        browser.wait_text("rows shown, that is all")
        rows = browser.run("[...document.querySelectorAll('td button')].map((one) => one.textContent)")
        self.assertEqual(len(rows), len(set(rows)))
        self.assertGreater(len(rows), 100)

    def test_calling_an_endpoint_tells_for_how_long_and_is_stopped(self):
        platform.must("PUT", "/v1/endpoints/slow", json.dumps({
            "sql": "select count(*) from generate_series(1, {{n:int8=123457}}) a, generate_series(1, 123457) b"}))
        browser.go("#/endpoints/slow", "slow")
        browser.click("button", "Call")
        self.stop_after_a_second()
        browser.fill("n", "0")
        browser.click("button", "Call")
        browser.wait_text("1 row", "[aria-live=polite] h2")

    def stop_after_a_second(self):
        browser.wait("document.querySelector('[role=timer]')?.textContent.match(/^[1-9][0-9]* s$/)")
        browser.click("button", "Stop")
        browser.wait_text("Stopped.")


class Charts(ConsoleCase):
    def chart(self, name, **chart):
        platform.must("PUT", f"/v1/dashboards/{name}", json.dumps({"charts": [chart]}))
        browser.go(f"#/dashboards/{name}", name)
        browser.wait("document.querySelector('canvas[role=img], .grid table')")

    def test_what_is_not_drawn_is_told(self):
        words = "select d::text as day, 'w' || w as word, w as n from generate_series(1, 2) d, generate_series(1, 20) w"
        self.chart("words", type="line", query=words, x="day", y=["n"])
        browser.wait_text("Only the first 12 of 20 series are drawn.")
        self.check_accessible("a chart that is cut")
        self.chart("numbers", type="bar", query="select n::text as x, n from generate_series(1, 2100) n")
        browser.wait_text("The answer was cut: there are more rows.")
        self.assertTrue(browser.run("""(() => {
            const [note, panel] = [document.querySelector('.cut'), document.querySelector('.grid > .panel')];
            return note.getBoundingClientRect().bottom <= panel.getBoundingClientRect().bottom;
        })()"""), "the note is inside its panel")
        self.chart("listed", type="table", query="select n from generate_series(1, 2100) n")
        browser.wait_text("The answer was cut: there are more rows.")
        self.chart("whole", type="line", query="select n::text as x, n from generate_series(1, 50) n")
        self.assertEqual(self.count(".cut"), 0)

    def test_each_bar_has_its_label(self):
        who = "select 'somebody with a long name ' || n as who, n from generate_series(1, 12) n"
        self.chart("named", type="bar", query=who, width=4)
        self.assertEqual(browser.run("document.querySelector('.chart').chart.scales.x.ticks.length"), 12)

    def test_a_long_answers_chart(self):
        browser.go("#/query", "Query")
        self.run_query("select n::text as x, n from generate_series(1, 2500) n")
        browser.wait_text("2,500 rows in")
        browser.click("button", "Chart")
        browser.wait_text("Only the first 2,000 of 2,500 rows are drawn.")
        many = ", ".join(f"{n} as c{n}" for n in range(20))
        self.run_query(f"select 'a' as x, {many}")
        browser.wait_text("1 row in")
        browser.click("button", "Chart")
        browser.wait_text("Only the first 16 of 20 series are drawn.")


class Keyboard(ConsoleCase):
    def test_tabs_by_arrows(self):
        browser.go("#/pipelines/zz_busy", "zz_busy")
        self.tab_to("document.activeElement.role === 'tab'")
        chosen = "document.querySelector('[role=tab][aria-selected=true]').textContent"
        for key, expected in (("ArrowRight", "Dry run"), ("ArrowLeft", "Steps"), ("ArrowLeft", "Definition"),
                              ("Home", "Steps"), ("End", "Definition"), ("ArrowRight", "Steps"),
                              ("ArrowRight", "Dry run")):
            browser.press(key)
            self.assertEqual(browser.run(chosen), expected, key)
            self.assertEqual(browser.run("document.activeElement.textContent"), expected, "focus goes along")
        self.assertEqual(self.count("[role=tab][tabindex='0']"), 1)
        # Into the panel, and through it to an answer.
        browser.press("Tab")
        browser.wait("document.activeElement?.tagName === 'TEXTAREA'")
        browser.type('{"n": 5, "m": "x"}')
        self.tab_to("document.activeElement.textContent === 'Run dry'", 5)
        browser.press("Enter")
        browser.wait_text("zz_busy: ")


if __name__ == "__main__":
    unittest.main()
