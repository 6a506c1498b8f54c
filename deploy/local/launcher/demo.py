"""The demo: this machine's own package log and a file of facts, through pipelines, to analyses."""

import hashlib
import json
from pathlib import Path

from client import Client
from settings import REPOSITORY

LOG = Path("/var/log/dpkg.log")
SAMPLE = REPOSITORY / "deploy/local/samples/elements.csv"
MOST_OF_LOG = 64 << 20
SENT = "demo-sent.json"  # how far the log was sent by an earlier demo on this home

PACKAGES = {
    "source": "dpkg",
    "steps": [
        # Lines about dpkg itself name no package.
        {"filter": "line not like '% startup %' and line not like '% conffile %'"},
        {"parse": {
            "format": "regex", "from": "line",
            "pattern": r"^(?<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?<action>[a-z]+) (?:(?<state>[a-z-]+) )?"
                       r"(?<package>[a-z0-9][a-z0-9+.-]*):(?<architecture>[a-z0-9-]+) (?<version>\S+)"
                       r"(?: (?<new_version>\S+))?$"}},
        {"cast": {"at": "timestamptz"}}],
    "target": {"dataset": "packages", "mode": "append"},
    "on_error": "quarantine",
}

ELEMENTS = {
    "source": "elements_csv",
    "steps": [
        {"cast": {"number": "int8", "period": "int8", "group_number": "int8", "atomic_mass": "float8"}},
        {"expect": {"mass_is_positive": "atomic_mass > 0"}},
        {"derive": {"neutrons": "round(atomic_mass)::int8 - number"}}],
    "target": {"dataset": "elements", "mode": "append"},
    "on_error": "quarantine",
}

# Put among the facts, to show what becomes of records that are wrong.
WRONG = """one,H,Hydrogen,1,1,s,1.008,gas
119,Uue,Ununennium,8,1,s,heavy,
120,Ubn,Unbinilium,8,2,s,-1,
"""

ANALYSES = [
    ("What dpkg did on this machine, by day", "packages", """
        select date_trunc('day', at)::date as day,
               count(*) filter (where action = 'install') as installs,
               count(*) filter (where action = 'upgrade') as upgrades,
               count(*) filter (where action = 'configure') as configured,
               count(distinct package) as packages
        from packages group by 1 order by 1 desc limit 5"""),
    ("The packages it wrote most about", "packages", """
        select package, count(*) as lines, min(at) as first, max(at) as last
        from packages group by package order by lines desc, package limit 5"""),
    ("The chemical elements by block", "elements", """
        select block, count(*) as elements, round(avg(atomic_mass)::numeric, 2) as mean_mass,
               max(neutrons) as most_neutrons, count(*) filter (where phase = 'gas') as gases
        from elements group by block order by elements desc"""),
]


class Inputs:
    """What is sent; read while the launcher may still read it."""

    def __init__(self):
        try:
            with open(LOG, "rb") as file:
                self.log = file.read(MOST_OF_LOG)
        except OSError:
            self.log = b""
        # A line that dpkg is still writing stays for the next time.
        self.log = self.log[:self.log.rfind(b"\n") + 1]
        lines = SAMPLE.read_text().splitlines(keepends=True)
        self.elements = "".join(lines[:60] + [WRONG] + lines[60:]).encode()


def read_inputs():
    return Inputs()


def run(settings, key, inputs):
    show(Client(settings.port, key), inputs, Path())
    print_where_next(settings)


def show(client, inputs, folder):
    """Sends the inputs and prints the analyses; `folder` is where it notes how far the log was sent."""
    print("\nSending\n")
    client.put_pipeline("packages", PACKAGES)
    client.put_pipeline("elements", ELEMENTS)
    send_log(client, inputs.log, folder / SENT)
    send(client, "elements_csv", inputs.elements, "text/csv",
         f"{SAMPLE.name} with {len(WRONG.splitlines())} wrong rows added")
    for title, dataset, sql in ANALYSES:
        if dataset == "packages" and not inputs.log:
            continue
        print(f"\n{title}\n")
        print_table(*client.query(sql))
    print_quarantine(client)


def send_log(client, log, noted):
    """Sends what came to the log since the last demo on this home, so that nothing is counted twice."""
    if not log:
        print(f"  {LOG} is empty or not readable here: left out")
        return
    try:
        sent = json.loads(noted.read_text())
        before = sent["bytes"] if digest(log[:sent["bytes"]]) == sent["digest"] else 0
    except (OSError, ValueError, KeyError):
        before = 0
    if log[before:]:
        send(client, "dpkg", log[before:], "text/plain", str(LOG))
        noted.write_text(json.dumps({"bytes": len(log), "digest": digest(log)}))
    else:
        print(f"  {LOG}: nothing new since the last demo")


def send(client, source, body, content_type, what):
    receipt = client.send(source, body, content_type, digest(body))
    counts = ", ".join(f"{receipt[name]} {name}" for name in ("received", "stored", "filtered", "quarantined"))
    print(f"  {what} ({len(body):,} bytes) to source {source}: {counts}")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def print_table(names, rows):
    texts = [names] + [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(names))]
    numeric = [all(isinstance(row[column], (int, float)) for row in rows) for column in range(len(names))]
    for number, row in enumerate(texts):
        cells = (text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, numeric))
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def print_quarantine(client):
    for dataset in ("elements", "packages"):
        items = client.quarantine(dataset, 4)
        if items:
            print(f"\nQuarantined on the way to {dataset}, with their bytes and reasons\n")
        for item in items:
            print(f"  {item['raw'].strip()[:90]}")
            for error in item["errors"]:
                where = ", ".join(f"{name} {error[name]}" for name in ("step", "column") if error.get(name) is not None)
                print(f"      {error['code']} ({where}): {error['message']}" if where
                      else f"      {error['code']}: {error['message']}")


def print_where_next(settings):
    key = f"{settings.home}/admin-key"
    print(f"""
Where to look next

  {settings.gateway}/ in a browser is the console: sign in with the key in {key}

  H="Authorization: Bearer $(cat {key})"
  curl -H "$H" {settings.gateway}/v1/datasets
  curl -H "$H" '{settings.gateway}/v1/datasets/elements/rows?where=period=2&order=number.asc'
  curl -H "$H" {settings.gateway}/v1/query -H 'Content-Type: application/json' \\
       -d '{{"sql": "select name, atomic_mass from elements order by atomic_mass desc limit 3"}}'
  curl -H "$H" {settings.gateway}/v1/ingest/notes?wait=stored -H 'Content-Type: application/x-ndjson' \\
       --data-binary '{{"title": "first", "stars": 5}}'
  curl {settings.gateway}/openapi.json
""")
