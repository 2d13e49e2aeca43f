"""Evaluates a model on labeled faces, on corrupted ones, and on faces in scenes."""
