"""A service of twenty lines, for tests of the runner: it migrates, loads and answers probes as a real one does.

`install` writes it under the names of the four services; on PYTHONPATH it then comes before the real ones.
"""

from __future__ import annotations

from pathlib import Path

SOURCE = """
import asyncio, os, pathlib, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import asyncpg

folder = pathlib.Path(os.environ["STAND_IN_FOLDER"])
name = pathlib.Path(__file__).parent.name


async def run(url, statement):
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


class Probes(BaseHTTPRequestHandler):
    def do_GET(self):
        while (folder / f"{name}.silent").exists():
            time.sleep(0.1)
        self.send_response(503 if (folder / f"{name}.unready").exists() else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


command = sys.argv[1]
with (folder / f"{name}.calls").open("a") as calls:
    owner = "owner" if "DESK_OWNER_DATABASE_URL" in os.environ else "no owner"
    admin = "admin" if "DESK_POSTGRES_URL" in os.environ else "no admin"
    calls.write(f"{command} {owner}, {admin}\\n")
if command == "migrate" and (folder / f"{name}.refuses").exists():
    print('{"event":"a line for machines"}')
    sys.exit((folder / f"{name}.refuses").read_text())
if command == "migrate":
    url = os.environ["DESK_OWNER_DATABASE_URL"]
    asyncio.run(run(url, "CREATE SCHEMA IF NOT EXISTS runtime"))
    asyncio.run(run(url, "CREATE TABLE IF NOT EXISTS runtime.outbox (position int)"))
elif command == "all":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["DESK_PORT"])), Probes).serve_forever()
"""


def install(packages: Path) -> None:
    """Write the stand-ins into `packages`, to be put on PYTHONPATH."""
    for service in ("tickets", "inventory", "sla", "devlink"):
        (packages / service).mkdir(parents=True)
        (packages / service / "__init__.py").touch()
        (packages / service / "__main__.py").write_text(SOURCE, encoding="utf-8")
