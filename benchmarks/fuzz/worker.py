"""The process that fuzzes: `python -m benchmarks.fuzz.worker TARGET CORPUS [libFuzzer options]`.

The modules under test are instrumented on import, so nothing may import them earlier.
"""

import hashlib
import logging
import sys
from pathlib import Path

import atheris

INSTRUMENTED = ["emostream", "msgpack", "starlette", "tomllib"]


def main() -> None:
    """Fuzz until the time is over or something is found."""
    target, corpus, *options = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED):
        from benchmarks.fuzz.targets import TARGETS
    chosen = TARGETS[target]
    logging.disable()
    for seed in chosen.seeds():
        (Path(corpus) / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], chosen.call)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
