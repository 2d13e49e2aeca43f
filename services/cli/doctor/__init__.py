"""`emostream doctor`: what of this machine stands in the way of a first run.

Each module here looks at one matter: what it found are facts, and a pure function says of facts
what is wrong and what to do about it.
"""

from services.cli.doctor.command import add_parser as add_parser
