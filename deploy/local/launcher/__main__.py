"""Starts Millrace on this machine, waits until it is ready, and stops it in order. See deploy/local/run."""

import argparse
import http.client
import os
import sys
import time
from pathlib import Path

import children
import cluster
import console
import demo
import gateway
import home
import ports
import settings
from settings import Failure, SERVICES
from signals import Signals, Stopped
from supervision import Supervisor


def build(arguments):
    """The folder of the four services, built now unless one is given."""
    if arguments.binaries:
        return Path(arguments.binaries).absolute()
    say("building (release mode; the first time takes some minutes) …")
    done = children.run([settings.REPOSITORY / "deploy/local/build"], stdout=-1)
    if done.returncode != 0:
        raise Failure("the build failed")
    return Path(done.stdout.strip().splitlines()[-1])


def start(chosen, supervisor, database):
    """Brings everything up in order, each when the one before it is ready."""
    deadline = time.monotonic() + chosen.start_timeout
    begun = time.monotonic()
    supervisor.start()
    if database:
        supervisor.up(["postgres"])
        database.wait(deadline, lambda: supervisor.check("postgres"))
        database.prepare()
        say(f"  postgres    ready  {seconds_since(begun)}  socket in {database.socket}")
    children.check(
        "millrace-store migrate", ["bin/millrace-store", "migrate"],
        env={**supervisor.environment, "MILLRACE_ADMIN_KEY_FILE": "admin-key"})
    supervisor.up(SERVICES)
    for service in SERVICES:
        wait_ready(service, chosen.port_of(service), supervisor, deadline)
        say(f"  {service:<11} ready  {seconds_since(begun)}  127.0.0.1:{chosen.port_of(service)}")
    supervisor.up(["gateway"])
    wait_ready("gateway", chosen.port, supervisor, deadline)
    say(f"  gateway     ready  {seconds_since(begun)}  127.0.0.1:{chosen.port}")


def wait_ready(name, port, supervisor, deadline):
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        reason = "no answer"
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read(2000).decode(errors="replace")
            if answer.status == 200:
                return
            reason = f"{answer.status} {body}"
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        supervisor.check(name)
        if time.monotonic() > deadline:
            raise Failure(f"{name} did not become ready in time (/readyz: {reason}); see log/{name}/current")
        time.sleep(0.05)


def environment_of_services(chosen, url):
    """What the services are given, and nothing else of the launcher's own environment."""
    values = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SWIFT_BACKTRACE": "enable=no",
        "DATABASE_URL": url,
        # Relative to the home: where a parent of it is closed to the user, no absolute path leads there.
        "MILLRACE_CONSOLE": str(console.FOLDER),
        **chosen.passed_on,
        "MILLRACE_HOST": "127.0.0.1",
    }
    for service in SERVICES:
        values[f"MILLRACE_{service.upper()}_PORT"] = str(chosen.port_of(service))
    return values


def named_ports(chosen):
    return [("gateway", chosen.port)] + [(name, chosen.port_of(name)) for name in SERVICES]


def describe(supervisor, database, chosen, runtime_folder):
    """Tells the supervisor what to run."""
    if database:
        supervisor.add(
            "postgres", database.command, folder="../../../postgres", down_signal="SIGINT", kill_after=75)
    for service in SERVICES:
        supervisor.add(service, f"bin/millrace-{service}")
    supervisor.add(
        "gateway", gateway.write(chosen, runtime_folder, children.raise_file_limit()), down_signal="SIGQUIT",
        kill_after=24)


def main():
    parser = argparse.ArgumentParser(prog="deploy/local/run", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="send real input and print what became of it")
    parser.add_argument("--binaries", metavar="DIR", help="use the services in this folder instead of building them")
    parser.add_argument("--stop", action="store_true", help="stop what runs on this MILLRACE_HOME")
    arguments = parser.parse_args()
    signals = Signals()
    signals.watch_parent()
    supervisor = runtime_folder = None
    try:
        os.umask(0o022)
        chosen = settings.read(os.environ)
        if arguments.stop:
            home.stop_other(chosen)
            return 0
        home.require_unused(chosen.home)
        ports.require_free(named_ports(chosen))
        binaries = home.prepare(chosen, build(arguments))
        cluster.read_files()
        gateway.read_files()
        console.read_files()
        inputs = demo.read_inputs() if arguments.demo else None
        os.chdir(chosen.home)
        home.become(chosen.user)
        lock = home.lock()
        ports.require_free(named_ports(chosen))
        home.lay_out(binaries)
        console.lay_out()
        runtime_folder = home.runtime_folder()
        database = None
        if not chosen.database_url:
            database = cluster.Cluster(runtime_folder, chosen.process_memory)
            database.ensure()
        url = database.url if database else chosen.database_url
        supervisor = signals.supervisor = Supervisor(environment_of_services(chosen, url), lock)
        describe(supervisor, database, chosen, runtime_folder)
        say("starting …")
        start(chosen, supervisor, database)
        say(f"\nMillrace runs at {chosen.gateway}   key: {chosen.home}/admin-key   logs: {chosen.home}/log")
        if inputs:
            demo.run(chosen, Path("admin-key").read_text(), inputs)
        say("Ctrl-C stops it.")
        while True:
            supervisor.process.wait()
            raise Failure("the supervisor (s6-svscan) has ended")
    except Stopped:
        return 0 if supervisor else 128 + signals.received
    except Failure as failure:
        print(f"millrace: {failure}", file=sys.stderr, flush=True)
        return 1
    finally:
        signals.stop_being_stopped()
        if supervisor and supervisor.process:
            say("\nstopping …")
            supervisor.stop()
            say("stopped")
        if runtime_folder:
            home.remove_runtime_folder()


def seconds_since(begun):
    return f"{time.monotonic() - begun:5.1f} s"


def say(text):
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader of our output has gone; the services have not.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
