"""`python -m emostream`: the `emostream` command."""

import sys

from emostream.services.cli.main import main

sys.exit(main())
