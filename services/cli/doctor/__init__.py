"""`emostream doctor`: what on this machine would stop a first run.

Each module here checks one matter: `probe` functions collect facts, and pure `check` functions
judge the facts and say what to do.
"""
