"""Lossless delivery at its source: every frame is held until it was written."""
