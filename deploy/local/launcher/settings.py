"""What the launcher is told: the environment, read once, with every fault named."""

import ipaddress
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

SERVICES = ("ingest", "transform", "store", "analytics")
REPOSITORY = Path(__file__).resolve().parents[3]


class Failure(Exception):
    """Why the launcher cannot go on: a sentence for the person at the terminal."""


@dataclass(frozen=True)
class Settings:
    home: Path  # absolute
    port: int  # the gateway's; the services have the four after it
    database_url: str | None  # None: the embedded PostgreSQL
    user: pwd.struct_passwd  # whom everything runs as
    start_timeout: float  # seconds until all must be ready
    process_memory: int | None  # MiB that a process of the embedded PostgreSQL may have; 0: any, None: the usual share
    trusted_proxies: list  # addresses and ranges of proxies in front of the gateway, whose X-Forwarded-For it believes
    passed_on: dict  # MILLRACE_… and OTEL_… settings for the services themselves

    def port_of(self, service):
        return self.port + 1 + SERVICES.index(service)

    @property
    def gateway(self):
        return f"http://127.0.0.1:{self.port}"


def read(environment):
    """The settings of an environment; raises Failure with all that is wrong with it."""
    faults = []

    def number(name, default, low, high):
        text = environment.get(name) or str(default)
        if text.isascii() and text.isdigit() and low <= int(text) <= high:
            return int(text)
        faults.append(f"{name}={text}: not a whole number from {low} to {high}")
        return default

    home = Path(environment.get("MILLRACE_HOME") or REPOSITORY / ".millrace").absolute()
    # Four services after the gateway.
    port = number("MILLRACE_PORT", 8080, 1024, 65535 - len(SERVICES))
    timeout = number("MILLRACE_START_TIMEOUT", 120, 1, 3600)
    process_memory = None
    if environment.get("MILLRACE_POSTGRES_PROCESS_MEMORY"):
        process_memory = number("MILLRACE_POSTGRES_PROCESS_MEMORY", 0, 0, 1 << 20)
        if 0 < process_memory < 128:
            faults.append(f"MILLRACE_POSTGRES_PROCESS_MEMORY={process_memory}: at least 128 (MiB), or 0 for no limit")
    trusted_proxies = []
    for text in (environment.get("GATEWAY_TRUSTED_PROXIES") or "none").replace(",", " ").split():
        try:
            trusted_proxies += [] if text == "none" else [ipaddress.ip_network(text)]
        except ValueError:
            faults.append(f"GATEWAY_TRUSTED_PROXIES: {text} is no address or range such as 10.0.0.0/8")
    user = pwd.getpwuid(os.geteuid())
    if user.pw_uid == 0:
        name = environment.get("MILLRACE_USER") or "millrace"
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            faults.append(f"MILLRACE_USER={name}: no such user")
        else:
            if user.pw_uid == 0:
                faults.append(f"MILLRACE_USER={name}: PostgreSQL and the services must not run as root")
    for name in ("MILLRACE_TLS_CERTIFICATE", "MILLRACE_TLS_KEY"):
        if environment.get(name):
            faults.append(f"{name} is for a service that clients reach directly; here the gateway speaks HTTP to it")
    own = ("MILLRACE_HOME", "MILLRACE_PORT", "MILLRACE_USER", "MILLRACE_START_TIMEOUT", "MILLRACE_LISTEN_PORT",
           "MILLRACE_POSTGRES_PROCESS_MEMORY")
    passed_on = {
        name: value
        for name, value in environment.items()
        if name.startswith(("MILLRACE_", "OTEL_")) and name not in own and not name.startswith("MILLRACE_ADMIN_KEY")
    }
    if faults:
        raise Failure("\n".join(faults))
    return Settings(
        home, port, environment.get("DATABASE_URL") or None, user, timeout, process_memory, trusted_proxies,
        passed_on)
