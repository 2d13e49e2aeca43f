"""The Procfile, from which honcho starts the stages."""

from collections.abc import Iterable

from emostream.services.cli.processes.stages import STAGES

FILE = "Procfile"


def procfile(config: str, stages: Iterable[str] = STAGES, program: str = "emostream") -> str:
    """Return the content of a Procfile that starts these stages with a configuration.

    EMOSTREAM_CONFIG names another one, and EMOSTREAM_ARGS gives each stage further arguments.
    `program` starts emostream in a shell.
    """
    return "".join(
        f"{stage}: exec {program} supervise {stage}"
        f' --config "${{EMOSTREAM_CONFIG:-{config}}}" $EMOSTREAM_ARGS\n'
        for stage in stages
    )
