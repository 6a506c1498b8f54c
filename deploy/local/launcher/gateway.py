"""The gateway's configuration, from the template that containers use too."""

import os
import shutil

from settings import REPOSITORY, SERVICES

FILES = {}


def read_files():
    """Before root is given up: the user may not be able to look into the repository."""
    for name in ("nginx.conf.template", "gateway.js"):
        FILES[name] = (REPOSITORY / "deploy/gateway" / name).read_text()


def write(settings, runtime_folder, files):
    """Writes the gateway's files into the runtime folder and returns the command that runs it."""
    folder = runtime_folder / "gateway"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "temporary").mkdir(parents=True)
    values = {
        "MODULES": "/usr/lib/nginx/modules",
        "WORKERS": str(min(4, os.cpu_count() or 1)),
        "FILES": str(files),
        "TEMPORARY": str(folder / "temporary"),
        "SCRIPTS": str(folder),
        "TRUSTED": " ".join(f"set_real_ip_from {proxy};" for proxy in settings.trusted_proxies),
        "LISTEN": f"127.0.0.1:{settings.port}",
    }
    for service in SERVICES:
        values[service.upper()] = f"127.0.0.1:{settings.port_of(service)}"
    text = FILES["nginx.conf.template"]
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    (folder / "nginx.conf").write_text(text)
    (folder / "gateway.js").write_text(FILES["gateway.js"])
    return f"/usr/sbin/nginx -e stderr -p {folder}/ -c nginx.conf -g 'daemon off;'"
