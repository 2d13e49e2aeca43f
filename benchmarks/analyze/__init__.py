"""The speed of `emostream analyze` against the original program's loop."""
