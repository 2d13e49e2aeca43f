"""Which tests pytest-xdist runs in the same process, one after the other."""

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

# Sockets, whole pipelines and a browser are timed: no two of them may fight for the processor.
TIMED_FOLDERS = {"bus", "system", "browser"}
# These share nets that are trained once.
TRAINING_MODULES = {"test_calibration.py", "test_distillation.py", "test_training.py"}


class GroupScheduling(LoadScopeScheduling):
    """Spreads the tests by group: the timed ones are one, the others go by module.

    `--dist=loadgroup` would do it by marks, but pytest-xdist 3.8 writes the group to where
    pytest 9.2 does not look.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        if TIMED_FOLDERS & set(path.parts):
            return "timed"
        return "training" if path.name in TRAINING_MODULES else str(path)
