"""Runs the model on a batch while the next one is assembled."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait

from emostream.services.classifier.batching import Probabilities
from emostream.services.classifier.stage import ClassifierStage
from emostream.shared.messages import Message


class OverlappedBatch:
    """Messages whose faces are being classified by `worker`; see `shared.overlapped_work.Begun`.

    Only those `messages` that are `left` are classified and answered; another classifier has
    answered the others. `take_over` is called before each answer, and returns messages to send
    first; it may switch the stage to another model. The new model then classifies these faces too,
    because they are answered with its labels.
    """

    def __init__(
        self,
        messages: list[Message],
        left: list[Message],
        stage: ClassifierStage,
        worker: Executor,
        take_over: Callable[[], list[Message]],
    ) -> None:
        self.messages, self.taken = messages, time.time_ns()
        self._stage, self._worker, self._take_over = stage, worker, take_over
        self._model = stage.batches.model
        self._left = left
        self._crops = stage.batches.assemble(left)
        self._result = self._start()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the model; return whether it has answered."""
        return bool(wait([self._result], seconds).done)

    def answer(self, messages: list[Message]) -> list[Message]:
        """Return the answers to the messages left in `messages`, which may be part of the batch."""
        answers = self._take_over()
        if self._stage.batches.model is not self._model:
            self._result = self._start()
        found = dict(zip(map(id, self._left), self._result.result(), strict=True))
        wanted = [each for each in messages if id(each) in found]
        return answers + self._stage.answer(wanted, [found[id(each)] for each in wanted])

    def _start(self) -> "Future[list[Probabilities | None]]":
        return self._worker.submit(self._stage.batches.run, self._crops, len(self._left))
