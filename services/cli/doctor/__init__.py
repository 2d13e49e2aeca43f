"""`emostream doctor`: finds problems on this machine that would prevent a first run.

Each module checks one area: `probe` functions collect facts, and pure `check` functions evaluate
the facts and give advice.
"""
