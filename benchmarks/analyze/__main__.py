"""`python -m benchmarks.analyze`: the same as `emostream bench analyze`."""

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
