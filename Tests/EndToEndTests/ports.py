"""Ports of their own for each module of tests, so that modules can run beside one another."""

import os
from pathlib import Path

PORTS_A_MODULE = 30


def first_port(module):
    """The first of the module's 30 ports; `module` is its `__file__`. E2E_FIRST_PORT (18500) moves those of all."""
    name = Path(module).name
    modules = sorted(path.name for path in Path(__file__).parent.glob("test_*.py"))
    return int(os.environ.get("E2E_FIRST_PORT", "18500")) + PORTS_A_MODULE * modules.index(name)
