"""The table of what became of the frames, as a recorder that is killed knew with its last rows."""

import contextlib
import sqlite3
from typing import Final

from emostream.shared.accounts import Accounts

KEEP_ACCOUNT: Final = "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)"
GET: Final = "SELECT stream, run, seq, name, state FROM accounts"
# What was written later, while some results waited, so that no account was kept with them.
ROWS_SINCE: Final = """
SELECT count(*), max(seq) FROM frames WHERE stream = ? AND run = ? AND seq >= ? AND whole
"""


def restore_accounts(connection: sqlite3.Connection, accounts: Accounts) -> None:
    """Continue with the accounts that an earlier recorder kept, and with the rows after them."""
    for stream, run, seq, name, state in connection.execute(GET).fetchall():
        written, last = connection.execute(ROWS_SINCE, (stream, run, seq)).fetchone()
        rows = (written, last) if name.startswith("emotion/") and written else None
        # One that cannot be read is as good as none.
        with contextlib.suppress(ValueError):
            accounts.restore(stream, run, seq, name, state, rows)
