"""`emostream supervise`: runs one stage, and restarts it when it exits or hangs."""
