"""The schema of a database as text that can be compared and committed.

`python -m tests.support.schema > src/laurels/ledger/schema.sql` updates it after a new migration.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from laurels import ledger
from laurels.ledger.db import migrations
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.embedded.postgres_binaries import programs
from laurels.ledger.embedded.server import EmbeddedPostgres

COMMITTED = Path(ledger.__file__).parent / "schema.sql"
HEADER = "-- The schema that results from the migrations, for reading. A test compares the two.\n\n"


def dump(url: str) -> str:
    """`pg_dump --schema-only` without what varies from run to run."""
    pg_dump = str(programs() / "pg_dump")
    command = [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--exclude-table=schema_migrations", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    noise = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")
    lines = [line for line in text.splitlines() if not line.startswith(noise)]
    paragraphs = "\n".join(lines).split("\n\n")
    return HEADER + "\n\n".join(part.strip("\n") for part in paragraphs if part.strip()) + "\n"


async def _migrate(url: str) -> None:
    pool = await ledger_pool.connect(url, size=6)
    await migrations.migrate(pool)
    await pool.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder))
        url = server.start(own=True)
        try:
            asyncio.run(_migrate(url))
            sys.stdout.write(dump(url))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
