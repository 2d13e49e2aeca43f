"""The Procfile, from which honcho starts the stages."""

import re
from collections.abc import Iterable
from typing import Final

from emostream.services.cli.processes.stages import ALL_STAGES, STAGES

FILE: Final = "Procfile"
SUPERVISED: Final = re.compile(
    r"^[\w-]+:.*\ssupervise\s+(?P<stage>\w+)(?P<words>.*)$", re.MULTILINE
)


def procfile(config: str, stages: Iterable[str] = STAGES, program: str = "emostream") -> str:
    """Return the content of a Procfile that starts these stages with a configuration.

    EMOSTREAM_CONFIG can select another configuration, and EMOSTREAM_ARGS adds arguments to each
    stage. `program` starts emostream in a shell.
    """
    return "".join(
        f"{stage}: exec {program} supervise {stage}"
        f' --config "${{EMOSTREAM_CONFIG:-{config}}}" $EMOSTREAM_ARGS\n'
        for stage in stages
    )


def stages_of(text: str) -> list[str]:
    """Return the stages that a Procfile starts, in pipeline order.

    A standby is not included, because its addresses are in its line, not in the configuration.
    """
    found = {
        line["stage"] for line in SUPERVISED.finditer(text) if "--standby" not in line["words"]
    }
    return [stage for stage in ALL_STAGES if stage in found]
