"""The console's files, which analytics serves: copied into the home, as the services are."""

import shutil
from pathlib import Path

from settings import REPOSITORY

FOLDER = Path("console")
FILES = {}


def read_files():
    """Before root is given up: the user may not be able to look into the repository."""
    source = REPOSITORY / "Services/Console"
    for path in source.rglob("*"):
        if path.is_file():
            FILES[path.relative_to(source)] = path.read_bytes()


def lay_out():
    """In the home, as the user: what an earlier run had is gone."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, content in FILES.items():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
