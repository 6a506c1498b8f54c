"""The demo in a container, through a gateway that runs elsewhere: `docker compose --profile demo up`.

DEMO_GATEWAY is where, http://gateway:8080; MILLRACE_ADMIN_KEY_FILE holds the key.
"""

import os
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import demo  # noqa: E402
from client import Client  # noqa: E402
from settings import Failure  # noqa: E402


def main():
    gateway = urllib.parse.urlsplit(os.environ.get("DEMO_GATEWAY", "http://gateway:8080"))
    try:
        key = Path(os.environ["MILLRACE_ADMIN_KEY_FILE"]).read_text().strip()
        demo.show(Client(gateway.port or 80, key, gateway.hostname), demo.read_inputs(), Path("/tmp"))
    except (OSError, KeyError) as error:
        print(f"millrace-demo: MILLRACE_ADMIN_KEY_FILE: {error}", file=sys.stderr)
        return 78
    except Failure as failure:
        print(f"millrace-demo: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
