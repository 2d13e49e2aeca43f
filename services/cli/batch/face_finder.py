"""Detector and classifier in one process: pictures in, faces with probabilities out."""

from collections.abc import Iterator
from typing import Final, Literal

import cv2
import msgspec
from prometheus_client import Histogram

from emostream.models.tensorflow_runtime import muted_stderr
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Pictures
from emostream.services.classifier.batching import BatchClassifier
from emostream.services.classifier.process import open_model
from emostream.services.cli.batch.chunk_rows import FoundFace, FoundFrame
from emostream.services.detector.process import new_stage, selected
from emostream.shared.config import Config
from emostream.shared.messages import Faces

# Far beyond any picture; within one process, picture sizes need no limit.
ANY_SIZE_MB: Final = 1 << 20


class FaceFinder:
    """Detects, tracks and classifies the faces of recordings, with one thread.

    `labels` are the model's, and `planar` says whether it accepts pictures as decoded.
    Probabilities are for single pictures, with the configured prior and without a baseline; tracks
    are numbered from 1. Raises WeightsError, MissingPackageError and ConfigError like the stages.
    """

    def __init__(self, config: Config) -> None:
        cv2.setNumThreads(1)
        detector = msgspec.structs.replace(config.detector, threads=1, shards=1)
        classifier = msgspec.structs.replace(config.classifier, threads=1)
        chosen = selected(detector)
        with muted_stderr():
            self._model = open_model(classifier)
            self._stage = new_stage(detector, chosen, live=False, helpers=0)
        self._batches = BatchClassifier(
            self._model, classifier.max_batch, Histogram("batch", "faces per batch", registry=None)
        )
        self.labels = self._model.labels
        self.detector = chosen.backend
        self.planar = config.capture.encoding == "i420"

    def frames(self, stream: str, pictures: Pictures, before: int) -> Iterator[FoundFrame]:
        """Yield the faces of each picture; `before` is the number of earlier pictures."""
        encoding: Literal["bgr8", "i420"] = "i420" if self.planar else "bgr8"
        framer = Framer(encoding, 0, recorded=(stream,), max_megabytes=ANY_SIZE_MB)
        for picture in pictures:
            message = framer.frame(stream, picture)
            if message.header.seq == 0:
                self._stage.begin(message.header, before)
            (answer,) = self._stage(message)
            header = answer.header
            assert isinstance(header, Faces)
            # A batch has the faces of one frame, as when stages analyze a recording.
            (given,) = self._batches.classify([answer])
            rows = [()] * len(header.faces) if given is None else map(tuple, given.tolist())
            faces = tuple(
                FoundFace(face.track, face.box, face.score, face.quality, row)
                for face, row in zip(header.faces, rows, strict=True)
            )
            yield FoundFrame(picture.pts, given is None, faces)
        self._stage.forget(stream)
