"""`emostream batch` compared with `emostream analyze`."""
