"""`python -m benchmarks.analyze`: what `emostream bench analyze` runs."""

import logging
import sys

from benchmarks.analyze.command import parser, run
from emostream.shared.errors import EmostreamError, ExitCode

try:
    sys.exit(run(parser().parse_args()))
except EmostreamError as error:
    logging.getLogger("emostream").error("error: %s", error)
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(ExitCode.INTERRUPTED)
