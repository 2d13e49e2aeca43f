"""`emostream supervise`: runs one stage, and starts it again when it dies."""
