"""The speed of `emostream analyze` compared with the original program's loop."""
