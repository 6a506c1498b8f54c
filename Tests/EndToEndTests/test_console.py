"""The console as people use it: headless Chromium on the whole platform, with real records and hostile ones."""

import csv
import io
import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from console_case import HOSTILE, ConsoleCase, home, sign_in, start  # noqa: E402
from platform_under_test import wait_for  # noqa: E402

NDJSON = "application/x-ndjson"


def seed():
    definition = {
        "source": "orders", "steps": [{"cast": {"total": "numeric", "at": "timestamptz"}}, {"filter": "total > 0"}],
        "target": {"dataset": "sales", "mode": "append"}}
    platform.must("PUT", "/v1/pipelines/sales", json.dumps(definition))
    records = [{"id": number, "customer": ("ada", "grace", HOSTILE)[number % 3], "total": f"{number}.50",
                "at": f"2026-03-{number % 28 + 1:02}T10:00:00Z", "big": 2 ** 53 + 1} for number in range(150)]
    bad = [{"id": 1000 + number, "customer": HOSTILE, "total": "12,5", "at": HOSTILE} for number in range(3)]
    bad += [{"id": 2000, "customer": "ada", "total": "7,25", "at": "2026-03-01T00:00:00Z"}]
    body = "\n".join(json.dumps(record) for record in records + bad)
    platform.must("POST", "/v1/ingest/orders?wait=stored", body, content_type=NDJSON)
    receipt = platform.must("POST", "/v1/ingest/events?wait=stored", json.dumps({HOSTILE[:60]: HOSTILE, "n": 1}),
                            content_type=NDJSON)
    platform.must("PUT", "/v1/endpoints/top", json.dumps({
        "sql": "select customer, sum(total) as total from sales group by 1 order by 2 desc limit {{n:int8=10}}",
        "description": HOSTILE}))
    platform.must("PUT", "/v1/dashboards/hostile", json.dumps({"title": HOSTILE, "charts": [
        {"title": HOSTILE, "type": "bar", "query": "select customer, sum(total) as total from sales group by 1"},
        {"title": "Endpoint", "type": "table", "endpoint": {"name": "top", "parameters": {"n": "3"}}},
        {"title": "Nothing", "type": "line", "query": "select 1 as x from nowhere"}]}))
    return receipt["receipt"]


def setUpModule():
    global platform, browser, receipt
    platform, browser = start(__file__)
    # Before there is anything: what to do first, with this server's own address.
    sign_in()
    browser.wait_text(f"http://127.0.0.1:{platform.port}/v1/ingest/orders?wait=stored")
    receipt = seed()
    browser.wait_text("Records in / s")


class ConsoleTests(ConsoleCase):
    def test_every_page_is_accessible_in_light_and_dark_and_narrow(self):
        pages = [
            ("#/overview", "Overview", "Rows stored"), ("#/sources", "Sources", "orders"),
            ("#/sources/orders", "orders", "ndjson"), (f"#/sources/receipts/{receipt}", "Receipt", "events"),
            ("#/datasets", "Datasets", "sales"), ("#/datasets/sales", "sales", "Trace"),
            ("#/datasets/sales/schema", "sales", "timestamptz"), ("#/datasets/sales/profile", "sales", "Profile"),
            ("#/pipelines", "Pipelines", "sales"), ("#/pipelines/sales", "sales", "cast"),
            ("#/quarantine", "Quarantine", "invalid cast"),
            ("#/quarantine/events", "events", "Nothing is in quarantine"),
            ("#/runs", "Runs", "replay"), ("#/queues", "Queues and jobs", "succeeded"),
            ("#/queues/jobs/1", "Job 1", "Arguments"), ("#/query?run=1&dataset=sales", "Query", "rows in"),
            ("#/endpoints", "Endpoints", "top"), ("#/endpoints/top", "top", "curl"),
            ("#/dashboards", "Dashboards", "hostile"), ("#/dashboards/hostile", HOSTILE, "does not exist"),
            ("#/rollups", "Rollups", "Aggregates that are kept"), ("#/keys", "Keys", "admin (configuration)"),
        ]
        self.check_pages(pages)

    def test_signing_in_and_out(self):
        browser.click("button", "Sign out")
        browser.wait("document.querySelector('#key')")
        self.assertEqual(browser.run("fetch('/v1/datasets').then((answer) => answer.status)"), 401)
        browser.open(home())
        browser.wait("document.activeElement?.id === 'key'")
        self.check_accessible("sign-in")
        browser.type("mr_wrong")
        browser.press("Enter")
        browser.wait_text("That key is not valid.", "[role=alert]")
        browser.type(platform.key)
        browser.press("Enter")
        browser.wait_text("Overview")
        self.assertEqual(browser.run("document.cookie"), "")
        stored = browser.run("JSON.stringify([{ ...localStorage }, { ...sessionStorage }]) + document.body.innerHTML")
        self.assertNotIn(platform.key, stored)
        browser.open(home() + "#/datasets")
        browser.wait_text("sales")
        # A session that ends meanwhile leads back to the sign-in, with a word about why.
        platform.sql("delete from millrace.session")
        browser.wait_text("The session has ended", "[role=alert]", seconds=30)
        sign_in()

    def test_the_overview_is_live(self):
        browser.go("#/overview", "Overview")
        browser.wait_text("orders", "table")
        browser.run("window.row = document.querySelector('tbody tr')")
        platform.must("POST", "/v1/ingest/orders?wait=stored", '{"id": 1, "total": "5", "at": "2026-03-01"}',
                      content_type=NDJSON)
        browser.wait("Number(document.querySelector('.tile .figure')?.textContent) > 0")
        browser.wait("document.querySelectorAll('.tile .spark .line').length >= 3")
        self.assertTrue(browser.run("document.querySelector('tbody tr') === row"), "the row is the one that was there")
        browser.wait("[...document.querySelectorAll('.tile')].some((one) => /quarantine\\s*[1-9]/.test(one.innerText))")

    def test_what_is_repeated_rests_in_a_hidden_tab(self):
        browser.go("#/sources", "Sources")
        calls = browser.run("""(async () => {
            const { repeat } = await import("/console/live.js");
            const turn = () => new Promise((go) => setTimeout(go));
            const turns = async () => { for (let left = 20; left; left -= 1) await turn(); };
            const hide = (hidden) => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            };
            const page = new AbortController();
            const seen = [];
            let calls = 0;
            hide(true);
            repeat(async () => { calls += 1; }, 0, page.signal, () => {});
            await turns();
            seen.push(calls);
            hide(false);
            await turns();
            seen.push(calls > 1);
            hide(true);
            await turns();
            const before = calls;
            await turns();
            seen.push(calls - before);
            hide(false);
            page.abort();
            await turns();
            const end = calls;
            await turns();
            seen.push(calls - end);
            delete document.hidden;
            return seen;
        })()""")
        self.assertEqual(calls, [0, True, 0, 0])

    def test_the_menu_of_a_narrow_screen(self):
        browser.go("#/overview", "Overview")
        browser.resize(390, 800)
        try:
            self.assertFalse(browser.run("document.querySelector('nav').checkVisibility()"))
            browser.click("button", "Menu")
            self.assertEqual(browser.run("document.querySelector('.menu').ariaExpanded"), "true")
            self.check_accessible("the menu")
            browser.click("nav a", "Endpoints")
            browser.wait("document.querySelector('main h1')?.textContent === 'Endpoints'")
            self.assertFalse(browser.run("document.querySelector('nav').checkVisibility()"))
            browser.wait("document.activeElement.textContent === 'Endpoints'")
        finally:
            browser.resize(1280, 900)

    def test_rows_go_on_and_lead_to_where_they_come_from(self):
        browser.go("#/datasets/sales", "sales")
        browser.wait_text("100 rows shown.")
        self.assertIn(str(2 ** 53 + 1), browser.text(), "every digit")
        browser.click("button", "Show more rows")
        browser.wait_text("that is all")
        browser.fill("Where", "customer = 'ada' and total > 140")
        browser.click("button", "Show")
        browser.wait("document.querySelectorAll('.result tbody tr').length < 10")
        exported = browser.run("""fetch([...document.querySelectorAll('a[download]')].find((one) =>
            one.download === 'sales.csv').href).then((answer) => answer.text())""")
        rows = list(csv.DictReader(io.StringIO(exported)))
        self.assertEqual(len(rows), self.count(".result tbody tr"))
        self.assertEqual({row["customer"] for row in rows}, {"ada"})
        browser.click("button", "Trace")
        browser.wait_text("Raw record")
        raw = json.loads(browser.text("[aria-label=Lineage] pre"))
        self.assertEqual(raw["customer"], "ada")
        self.assertIn("sales, version 1", browser.text("[aria-label=Lineage]"))
        browser.fill("Where", "total >")
        browser.click("button", "Show")
        browser.wait("document.querySelector('main [role=alert]:not([hidden])')")

    def test_a_profile(self):
        status, profile = platform.call("GET", "/v1/profiles/sales")
        browser.go("#/datasets/sales/profile", "sales")
        self.assertEqual(status, 200)
        browser.wait_text("Most frequent")
        self.assertIn(f"{profile['rows']:,} rows", browser.text())
        # Long values are shown by their beginnings.
        self.assertIn("<script>window.hacked", browser.text())
        self.assertIn("Distribution of total", browser.run(
            "[...document.querySelectorAll('svg[role=img]')].map((one) => one.ariaLabel).join()"))
        self.check_accessible("a profile")

    def test_a_query_its_error_its_chart_and_what_becomes_of_it(self):
        browser.go("#/query?dataset=sales", "Query")
        self.run_query("select 1,\n  nowhere")
        browser.wait_text("Line 2, column 3: ", "[role=alert]")
        self.assertEqual(browser.run("document.querySelector('.cm-fault').textContent"), "nowhere")
        sql = "select customer, count(*) as orders, sum(total) as total from sales group by 1 order by 1"
        self.run_query(sql)
        browser.wait_text("3 rows in")
        self.assertIn(HOSTILE, browser.text(".result"))
        browser.click("button", "Chart")
        browser.wait("document.querySelector('canvas[role=img]')")
        self.check_accessible("a chart")
        browser.click("button", "Save as endpoint")
        browser.fill("Name", "top")
        browser.click("dialog button", "Save")
        browser.wait_text("There is an endpoint top already.", "dialog")
        browser.fill("Name", "by_customer")
        browser.click("dialog button", "Save")
        browser.wait_text("/v1/endpoints/by_customer/data")
        browser.click("button", "Call")
        browser.wait_text("3 rows")
        self.assertEqual(platform.call("GET", "/v1/endpoints/by_customer")[1]["sql"], sql)
        browser.go("#/query", "Query")
        browser.wait("document.querySelector('.CodeMirror')?.CodeMirror.getValue().startsWith('select customer')")
        browser.click("button", "Run")
        browser.wait_text("3 rows in")
        browser.click("button", "Chart")
        browser.click("button", "Add to dashboard")
        browser.fill("Dashboard", "")
        browser.fill("Name of the new dashboard", "shop")
        browser.fill("Title of the chart", "Orders")
        browser.click("dialog button", "Add")
        browser.wait("document.querySelector('.grid canvas')")
        self.assertEqual([chart["query"] for chart in platform.call("GET", "/v1/dashboards/shop")[1]["charts"]], [sql])

    def test_completion_knows_tables_and_columns(self):
        browser.go("#/query?dataset=sales", "Query")
        browser.wait("document.querySelector('.CodeMirror')?.CodeMirror.options.hintOptions.tables.sales.length > 3")
        browser.run("""(() => {
            const editor = document.querySelector('.CodeMirror').CodeMirror;
            editor.setValue('select sales.cust from sales');
            editor.setCursor(0, 17);
            editor.focus();
            editor.execCommand('autocomplete');
        })()""")
        browser.wait_text("sales.customer", ".CodeMirror-hints")
        browser.press("Enter")
        browser.wait("document.querySelector('.CodeMirror').CodeMirror.getValue().includes('customer from')")

    def test_a_dashboard_is_made_changed_and_deleted(self):
        browser.go("#/dashboards", "Dashboards")
        browser.click("button", "New dashboard")
        browser.fill("Name", "fleet")
        browser.fill("Title", "The fleet")
        browser.click("dialog button", "Make it")
        browser.wait_text("No charts yet")
        for title, kind in (("First", "bar"), ("Second", "number")):
            browser.click("button", "Add chart")
            browser.fill("Title", title)
            browser.fill("Type", kind)
            browser.fill("SQL", "select customer, count(*) as n from sales group by 1")
            browser.click("dialog button", "Add")
            browser.wait_text(title)
        browser.wait("document.querySelector('.grid canvas')")
        browser.click("button", "Edit")
        self.check_accessible("a dashboard that is edited")
        browser.click(".grid button", "Later")
        browser.wait("document.querySelector('.grid h2')?.textContent === 'Second'")
        charts = platform.call("GET", "/v1/dashboards/fleet")[1]["charts"]
        self.assertEqual([chart["title"] for chart in charts], ["Second", "First"])
        # Somebody else has changed it meanwhile: nothing is overwritten.
        platform.must("PUT", "/v1/dashboards/fleet", json.dumps({"charts": []}))
        browser.click(".grid button", "Later")
        browser.wait_text("Somebody else has changed this dashboard", "[role=alert]")
        self.assertEqual(platform.call("GET", "/v1/dashboards/fleet")[1]["charts"], [])
        browser.open(home() + "#/dashboards/fleet")
        browser.wait_text("No charts yet")
        browser.click("button", "Delete")
        browser.fill("Type fleet to confirm", "flee")
        browser.click("dialog button", "Delete the dashboard")
        browser.wait_text("That is not fleet.", "dialog")
        browser.fill("Type fleet to confirm", "fleet")
        browser.click("dialog button", "Delete the dashboard")
        browser.wait("document.querySelector('main h1')?.textContent === 'Dashboards'")
        self.assertEqual(platform.call("GET", "/v1/dashboards/fleet")[0], 404)

    def test_a_dry_run_of_pasted_records(self):
        browser.go("#/pipelines/sales", "sales")
        browser.click("button", "Dry run")
        browser.fill("Records", '{"id": 7, "total": "3.5"}\n{"id": 8, "total": "-1"}\n{"id": 9, "total": "much"}')
        browser.click("button", "Run dry")
        for text in ("sales: 1 row", "Filtered: 1 record", "Quarantined: 1 record", "invalid cast"):
            browser.wait_text(text)
        self.assertEqual(platform.call("POST", "/v1/query", '{"sql": "select id from sales where id in (7, 8, 9) '
                                       'and total = 3.5"}')[1]["rows"], [])

    def test_what_is_pasted_is_read_as_ingest_would(self):
        """A bad line is one bad line, text that looks like a number is text, and the dataset has a say."""
        platform.must("PUT", "/v1/datasets/meters", json.dumps({"columns": [
            {"name": "id", "type": "int8", "nullable": False}, {"name": "line", "type": "text"}],
            "on_new_column": "extra"}))
        platform.must("PUT", "/v1/pipelines/meters", json.dumps(
            {"source": "meters", "steps": [{"derive": {"id": "coalesce(id::text, line)"}}],
             "target": {"dataset": "meters"}}))
        browser.go("#/pipelines/meters", "meters")
        browser.click("button", "Dry run")

        def run(pasted, form, *texts, chosen=None):
            browser.fill("Records", "")
            browser.fill("Records", pasted)
            browser.wait(f"[...document.querySelectorAll('select')].some((one) => one.value === {json.dumps(form)})")
            if chosen:
                browser.fill("Format", chosen)
            browser.click("button", "Run dry")
            for text in texts:
                browser.wait_text(text)

        run('{"id":1}\n{bad', "application/x-ndjson", "meters: 1 row", "Quarantined: 1 record", "{bad", "invalid json")
        run("42\n", "text/plain", "meters: 1 row", "42")
        cells = browser.run("[...document.querySelectorAll('.result tbody td')].map((one) => one.textContent)")
        self.assertEqual(cells, ["42", "42"])
        run("id,colour\n7,red\n,blue\n", "text/csv", "meters: 1 row", '{"colour":"red"}', "not null")
        run('{\n  "id": 5\n}', "application/json", "meters: 1 row", "5")
        run('{"id":1}\n', "application/x-ndjson", "Quarantined: 1 record", "invalid cast", chosen="text/plain")
        run('[{"id": 1}, {"id": 2}', "application/json", "the body ends before its array")
        self.check_accessible("a dry run")

    def test_quarantine_heals_with_progress(self):
        browser.go("#/quarantine/sales", "sales")
        browser.wait_text("invalid cast")
        browser.wait("document.querySelectorAll('article.record').length >= 4")
        self.check_accessible("a quarantine")
        self.assertIn("<script>window.hacked=1</script>", browser.text())
        definition = {
            "source": "orders", "steps": [{"derive": {"total": "replace(total, ',', '.')"}},
                                          {"cast": {"total": "numeric", "at": "timestamptz"}}, {"filter": "total > 0"}],
            "target": {"dataset": "sales", "mode": "append"}}
        platform.must("PUT", "/v1/pipelines/sales", json.dumps(definition))
        browser.click("button", "Heal all")
        browser.wait_text("Those that pass are stored", "dialog")
        browser.click("dialog button", "Heal")
        browser.wait_text("1 row stored, 3 records still failing")
        browser.wait("document.querySelector('progress')?.value === 1")
        healed = platform.must("POST", "/v1/query", '{"sql": "select total from sales where id = 2000"}')
        self.assertEqual(healed["rows"], [[7.25]])
        browser.click("a", "run ")
        browser.wait_text("succeeded")

    def test_queues_are_paused_and_jobs_cancelled(self):
        browser.go("#/queues", "Queues and jobs")
        browser.click("tr:has(th:first-child) button", "Pause")
        browser.wait_text("No further job of the queue is started", "dialog")
        browser.press("Escape")
        browser.wait("!document.querySelector('dialog')")
        self.assertFalse(any(queue["paused"] for queue in platform.call("GET", "/v1/queues")[1]["items"]))
        browser.click("button", "Pause queue transform")
        browser.click("dialog button", "Pause")
        browser.wait_text("paused")
        platform.must("POST", "/v1/ingest/orders", '{"id": 3000, "total": "1", "at": "2026-03-01"}',
                      content_type=NDJSON)
        browser.choose("State of jobs", "ready")
        browser.click("button", "Cancel job")
        browser.click("dialog button", "Cancel the job")
        browser.wait("!document.querySelector('dialog')")
        browser.click("button", "Resume queue transform")
        browser.wait("![...document.querySelectorAll('.badge')].some((one) => one.textContent === 'paused')")
        browser.choose("State of jobs", "cancelled")
        browser.click("a", str(platform.call("GET", "/v1/jobs?state=cancelled")[1]["items"][0]["id"]))
        browser.wait_text("Arguments")

    def test_dead_jobs_are_tried_again(self):
        platform.must("POST", "/v1/queues/transform/pause")
        platform.must("POST", "/v1/ingest/doomed", '{"id": 1}', content_type=NDJSON)
        # Without its raw bytes a batch cannot be transformed, and nobody could help that.
        platform.sql("delete from landing.payload where batch_id = (select max(id) from millrace.batch)")
        platform.must("POST", "/v1/queues/transform/resume")
        browser.go("#/queues?state=dead", "Queues and jobs")
        browser.wait_text("raw_expired")
        job = platform.call("GET", "/v1/jobs?state=dead")[1]["items"][0]["id"]
        attempts = f"fetch('/v1/jobs/{job}').then((answer) => answer.json()).then((job) => job.attempts.length)"
        before = browser.run(attempts)
        browser.click("button", f"Retry job {job}")
        browser.wait(f"{attempts}.then((now) => now > {before})")
        browser.click("button", "Redrive dead jobs of queue transform")
        browser.click("dialog button", "Redrive")
        browser.wait(f"{attempts}.then((now) => now > {before} + 1)")
        browser.wait_text("1 job redriven", "#announcer")
        browser.go("#/overview", "Overview")
        browser.wait("[...document.querySelectorAll('.tile.bad')].some((one) => /Failures\\s*1/.test(one.innerText))")
        browser.click("a.tile", "Failures")
        browser.wait_text(str(job), "section:last-of-type tbody")
        self.assertEqual(browser.run("document.querySelector('select').value"), "dead")

    def test_keys_are_made_shown_once_rotated_and_revoked(self):
        browser.go("#/keys", "Keys")
        browser.click("button", "Make a key")
        browser.wait_text("Scopes", "dialog")
        self.check_accessible("the dialog that makes a key")
        browser.fill("Name", HOSTILE[:90])
        for scope in ("datasets:read", "query"):
            browser.click("dialog label", scope)
        browser.fill("Only names like", "sa*")
        browser.fill("Requests a day", "1000")
        browser.click("dialog button", "Make the key")
        browser.wait_text("It is shown this once.", "dialog")
        self.check_accessible("the dialog that shows a key")
        secret = browser.text("dialog pre").strip()
        self.assertTrue(secret.startswith("mr_") and len(secret) == 46, len(secret))
        browser.click("dialog button", "I have it")
        browser.wait("!document.querySelector('dialog')")
        browser.wait_text("datasets:read/sa*, query")
        kept = browser.run("JSON.stringify([{ ...localStorage }, { ...sessionStorage }]) + document.body.innerHTML")
        self.assertNotIn(secret[9:], kept)
        listed = next(one for one in platform.call("GET", "/v1/keys")[1]["items"] if one["prefix"] == secret[:9])
        self.assertEqual((listed["scopes"], listed["limits"]),
                         (["datasets:read/sa*", "query"], {"requests_per_day": 1000}))
        with_key = f"{{headers: {{Authorization: 'Bearer {secret}'}}}}"
        answers = [browser.run(f"fetch('/v1/datasets/{name}', {with_key}).then((one) => one.status)")
                   for name in ("sales", "events")]
        self.assertEqual(answers, [200, 403])
        browser.click("button", f"Rotate… {HOSTILE[:20]}")
        browser.fill("The old one goes on for", "0s")
        browser.click("dialog button", "Rotate the key")
        browser.wait_text("It is shown this once.", "dialog")
        rotated = browser.text("dialog pre").strip()
        browser.click("dialog button", "I have it")
        browser.wait("!document.querySelector('dialog')")
        browser.wait_text(rotated[:9])
        browser.click("button", f"Revoke… {HOSTILE[:20]}")
        browser.click("dialog button", "Revoke the key")
        browser.choose("State of keys", "revoked")
        browser.wait_text(rotated[:9])
        browser.wait_text("revoked", "table")
        # The last key that administers the workspace says why it stays.
        browser.choose("State of keys", "active")
        browser.click("button", "Revoke… admin (configuration)")
        browser.click("dialog button", "Revoke the key")
        browser.wait_text("comes from the configuration", "[role=alert]")

    def test_a_column_of_words_makes_a_line_each(self):
        sql = "select customer, '2026-03-0' || id % 2 + 1 as day, count(*) as n from sales group by 1, 2 order by 2, 1"
        definition = {"charts": [{"type": "line", "query": sql, "x": "day", "y": ["n"]}]}
        platform.must("PUT", "/v1/dashboards/lines", json.dumps(definition))
        browser.go("#/dashboards/lines", "lines")
        browser.wait("document.querySelector('canvas')?.getAttribute('aria-label').includes('ada, grace')")
        self.assertIn("by day, 2 rows", browser.run("document.querySelector('canvas').getAttribute('aria-label')"))

    def test_a_chart_of_a_rollup(self):
        platform.must("PUT", "/v1/datasets/stalls", json.dumps({"columns": [
            {"name": "customer", "type": "text"}, {"name": "total", "type": "numeric"},
            {"name": "at", "type": "timestamptz"}]}))

        def sell(*customers):
            platform.must("POST", "/v1/ingest/stalls?wait=stored", "".join(json.dumps(
                {"customer": customer, "total": "3.50", "at": "2026-03-02T10:00:00Z"}) + "\n"
                for customer in customers), content_type=NDJSON)
        sell("ada", "grace", HOSTILE)
        platform.must("PUT", "/v1/rollups/sold", json.dumps({
            "dataset": "stalls", "time": {"column": "at", "grain": "hour"}, "dimensions": ["customer"],
            "measures": {"sold": "count()", "revenue": "sum(total)", "most": "quantile(total, 0.99)"}}))
        wait_for("the rollup", lambda: platform.must("GET", "/v1/rollups/sold")["state"] == "ready")
        browser.go("#/dashboards", "Dashboards")
        browser.click("button", "New dashboard")
        browser.fill("Name", "rolled")
        browser.click("dialog button", "Make it")
        browser.wait_text("No charts yet")
        browser.click("button", "Add chart")
        browser.fill("Title", "Sold by day")
        browser.fill("Content", "rollup")
        browser.fill("Name", "sold")
        browser.fill("Parameters", "range=3660d&grain=day&group_by=customer")
        browser.fill("Values", "revenue")
        browser.click("dialog button", "Add")
        browser.wait("document.querySelector('canvas')?.getAttribute('aria-label').includes('grace')")
        self.assertIn("by time", browser.run("document.querySelector('canvas').getAttribute('aria-label')"))
        self.check_accessible("a dashboard with a chart of a rollup")
        chart = platform.must("GET", "/v1/dashboards/rolled")["charts"][0]
        # What comes is on the chart without anybody asking.
        sell("linus")
        browser.wait("document.querySelector('canvas').getAttribute('aria-label').includes('linus')")
        self.assertEqual(chart["rollup"], {"name": "sold", "range": "3660d", "grain": "day", "group_by": "customer"})

    def test_from_the_sign_in_to_an_answer_by_keyboard_alone(self):
        browser.go("#/overview", "Overview")
        browser.click("button", "Sign out")
        browser.wait("document.activeElement?.id === 'key'")
        browser.type(platform.key)
        browser.press("Enter")
        browser.wait_text("Overview")
        self.tab_to("document.activeElement.textContent === 'Query'")
        browser.press("Enter")
        browser.wait("document.querySelector('.CodeMirror') && document.activeElement?.tagName === 'H1'")
        self.tab_to("document.activeElement.closest('.CodeMirror')")
        browser.press("a", modifiers=2)
        browser.type("select count(*) as answer from sales")
        browser.wait("sessionStorage['millrace-query']?.includes('answer')")
        # The editor is no trap: Tab leads on to the button.
        browser.press("Escape")
        browser.press("Tab")
        self.assertEqual(browser.run("document.activeElement.textContent"), "Run")
        browser.press("Enter")
        browser.wait_text("1 row in")
        browser.wait_text("answer", ".result")
        self.assertIn("1 row in", browser.text("[role=status].about"), "screen readers hear it")

    def test_the_page_says_what_it_may_do(self):
        browser.go("#/overview", "Overview")
        headers = browser.run("fetch('/').then((answer) => Object.fromEntries(answer.headers))")
        policy = headers["content-security-policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'",
                     "require-trusted-types-for 'script'"):
            self.assertIn(rule, policy.split("; "))
        self.assertNotIn("unsafe", policy)
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        blocked = browser.run("""(() => {
            try {
                document.body.insertAdjacentHTML("beforeend", "<b>x</b>");
                return "done";
            } catch {
                return "refused";
            }
        })()""")
        self.assertEqual(blocked, "refused")
        browser.run("violations.length = 0")
        browser.logged.clear()


if __name__ == "__main__":
    unittest.main()
