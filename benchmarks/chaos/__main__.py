"""`python -m benchmarks.chaos`: causes faults, and checks how the pipeline recovers."""

import logging
import sys

from benchmarks.chaos.command import main
from emostream.shared.errors import EmostreamError, ExitCode

try:
    sys.exit(main())
except EmostreamError as error:
    logging.getLogger("emostream").error("error: %s", error)
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(ExitCode.INTERRUPTED)
