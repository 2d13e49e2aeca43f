"""The parser of command lines."""

import argparse
from typing import NoReturn

from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.logs import log_end


class Parser(argparse.ArgumentParser):
    """Refuses a command line as everything else is refused: in one line."""

    def error(self, message: str) -> NoReturn:
        """Log the message and end with USAGE."""
        log_end(ConfigError(f"{message}; see {self.prog} --help"))
        self.exit(ExitCode.USAGE)
