"""Lossless delivery at its source: every frame is kept until it is written."""
