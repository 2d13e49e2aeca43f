"""The table with the frame accounts, saved with the rows in case the recorder is killed."""

import contextlib
import sqlite3
from typing import Final

from emostream.shared.accounts import Accounts

KEEP_ACCOUNT: Final = "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)"
GET: Final = "SELECT stream, run, seq, name, state FROM accounts"
# Rows written later without an account, because some results were still waiting.
ROWS_SINCE: Final = """
SELECT count(*), max(seq) FROM frames WHERE stream = ? AND run = ? AND seq >= ? AND whole
"""


def restore_accounts(connection: sqlite3.Connection, accounts: Accounts) -> None:
    """Continue with the accounts that an earlier recorder saved, and the rows after them."""
    for stream, run, seq, name, state in connection.execute(GET).fetchall():
        written, last = connection.execute(ROWS_SINCE, (stream, run, seq)).fetchone()
        rows = (written, last) if name.startswith("emotion/") and written else None
        # An unreadable account is ignored.
        with contextlib.suppress(ValueError):
            accounts.restore(stream, run, seq, name, state, rows)
