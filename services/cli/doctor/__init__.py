"""`emostream doctor`: what of this machine stands in the way of a first run.

Each module here looks at one matter: what it found are facts, and a pure function says of facts
what is wrong and what to do about it.
"""
