"""`emostream supervise`: runs one stage, and starts it again when it ends or hangs."""
