"""The classifier's stage: from `faces/` messages to `event/` and `emotion/` messages."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

from emostream.services.classifier.baseline import neutral_index
from emostream.services.classifier.batching import BatchClassifier, Model, Probabilities
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.tracks import PartTracks
from emostream.shared.errors import MessageError
from emostream.shared.messages import (
    Emotion,
    EmotionFace,
    EmotionPrior,
    Event,
    Faces,
    Header,
    Message,
    common_fields,
)

# The key under which an answer carries the labels and tracks for another classifier to continue.
STATE: Final = "classifier"
_ENCODER: Final = msgspec.msgpack.Encoder()
_HANDED_ON: Final = msgspec.msgpack.Decoder(tuple[tuple[str, ...], bytes])


class Role(Enum):
    """The role of a classifier: alone, active with a standby, or standby."""

    ALONE = "alone"
    ACTIVE = "active"
    STANDBY = "standby"


class ClassifierStage:
    """Classifies the emotion of each face, and reports changes on each track.

    Faces from all messages and streams share batches of at most `max_batch`. With `baseline`, each
    track is centered on its resting face; raises ConfigError if the model has no neutral label.
    `criteria` select the faces that count, by default all. `batches` classifies the faces. Unless
    its `role` is alone, each answer carries the state after it, so that another classifier can
    continue.
    """

    def __init__(
        self,
        model: Model,
        metrics: ClassifierMetrics,
        rules: SmoothingRules,
        max_batch: int,
        *,
        baseline: bool = False,
        criteria: InclusionCriteria | None = None,
        role: Role = Role.ALONE,
    ) -> None:
        self._metrics = metrics
        self._role = role
        self._rules = rules
        self._criteria = criteria or InclusionCriteria()
        self._baseline = baseline
        self._neutral = self._neutral_index(model)
        self.batches = BatchClassifier(model, max_batch, metrics.batch_size)
        self._prior = _emotion_prior(model)
        self._parts: dict[tuple[str, int], PartTracks] = {}
        metrics.set_model(model)

    @property
    def failure(self) -> str:
        """The reason if the last model call failed, otherwise ""."""
        return self.batches.failure

    def switch_model(self, model: Model) -> list[Message]:
        """Switch to another model; return the resulting events.

        If the labels are the same, tracks and their labels continue, and only baselines start over.
        Otherwise, all tracks leave, and enter again in the next frame.
        """
        self._neutral = self._neutral_index(model)
        same = model.labels == self.batches.model.labels
        self.batches.model = model
        self._prior = _emotion_prior(model)
        self._metrics.set_model(model)
        if same:
            for tracks in self._parts.values():
                tracks.forget_baselines()
            return []
        events = [event for tracks in self._parts.values() for event in tracks.leave()]
        self._parts.clear()
        self._metrics.count_events(events)
        return [self._said(event) for event in events]

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """Answer each `faces/` message, in order, with its events and then its emotions.

        A frame on which the model fails is answered `degraded`, without faces. Probes and ends are
        passed on unchanged; at an end or a new run, all earlier tracks leave.
        """
        return self.answer(messages, self.batches.classify(messages))

    def answer(
        self, messages: Sequence[Message], classified: Sequence[Probabilities | None]
    ) -> list[Message]:
        """Answer the messages, like a call, with these probabilities from `batches`."""
        answers: list[Message] = []
        for message, probabilities in zip(messages, classified, strict=True):
            header = message.header
            assert isinstance(header, Faces)
            events, emotion = self._answer(header, probabilities)
            answers += [self._said(event) for event in events]
            answers.append(self._said(emotion))
        return answers

    def go_on_from(self, answer: Emotion) -> None:
        """Continue from another classifier's state after this answer.

        Raises MessageError if the state is unusable: damaged, or with other labels.
        """
        key = (answer.stream, answer.part)
        self._parts.pop(key, None)
        labels = self.batches.model.labels
        try:
            if STATE not in answer.states:
                raise ValueError("it shares no state; set classifier.standbys there")
            names, state = _HANDED_ON.decode(answer.states[STATE])
            if names != labels:
                raise ValueError(f"its labels are {', '.join(names)}")
            if state:
                tracks = self._tracks_from(answer)
                tracks.restore(state)
                self._parts[key] = tracks
        except (msgspec.MsgspecError, ValueError) as error:
            reason = f"{answer.stream}: cannot continue from the other classifier's state: {error}"
            raise MessageError("state", reason) from error

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        for key in [key for key in self._parts if key[0] == stream]:
            del self._parts[key]
        self._metrics.forget(stream)

    def state(self, header: Header) -> bytes:
        """Return the state of the header's part of its stream."""
        assert isinstance(header, Faces)
        tracks = self._parts.get((header.stream, header.part))
        return tracks.state() if tracks else b""

    def restore(self, header: Header, state: bytes | None) -> None:
        """Replace the state of that part, or forget it if there is none."""
        assert isinstance(header, Faces)
        key = (header.stream, header.part)
        self._parts.pop(key, None)
        if state:
            self._parts[key] = self._tracks_from(header)
            self._parts[key].restore(state)

    def _answer(
        self, header: Faces, probabilities: Probabilities | None
    ) -> tuple[list[Event], Emotion]:
        if header.probe:
            return [], self._emotion(header)
        events = self._leave_earlier(header)
        if header.end:
            emotion = self._emotion(header)
        else:
            changes, emotion = self._classified(header, probabilities)
            events += changes
        self._metrics.count(events, emotion)
        return events, emotion

    def _leave_earlier(self, header: Faces) -> list[Event]:
        key = (header.stream, header.part)
        tracks = self._parts.get(key)
        if tracks is None or (tracks.run == header.run and not header.end):
            return []
        del self._parts[key]
        return tracks.leave()

    def _classified(
        self, header: Faces, probabilities: Probabilities | None
    ) -> tuple[list[Event], Emotion]:
        key = (header.stream, header.part)
        tracks = self._parts.get(key)
        if tracks is None:
            tracks = self._parts[key] = self._tracks_from(header)
        if probabilities is None:
            return tracks.update_unclassified(header), self._emotion(header, degraded=True)
        events, faces = tracks.update(header, probabilities)
        return events, self._emotion(header, faces)

    def _said(self, header: Event | Emotion) -> Message:
        """Return the message with the fields that depend on the role."""
        if self._role is Role.ALONE:
            return Message(header)
        states = {}
        if isinstance(header, Emotion) and not header.probe:
            tracks = self._parts.get((header.stream, header.part))
            labels = self.batches.model.labels
            states[STATE] = _ENCODER.encode((labels, tracks.state() if tracks else b""))
        is_standby = self._role is Role.STANDBY
        return Message(msgspec.structs.replace(header, standby=is_standby, states=states))

    def _tracks_from(self, header: Faces | Emotion) -> PartTracks:
        labels = self.batches.model.labels
        return PartTracks(labels, self._rules, header, self._neutral, self._criteria)

    def _neutral_index(self, model: Model) -> int | None:
        return neutral_index(model.labels, model.name) if self._baseline else None

    def _emotion(
        self, header: Faces, faces: Sequence[EmotionFace] = (), *, degraded: bool = False
    ) -> Emotion:
        return Emotion(
            **common_fields(header),
            model=self.batches.model.name,
            faces=tuple(faces),
            part=header.part,
            parts=header.parts,
            degraded=degraded,
            prior=self._prior,
        )


def _emotion_prior(model: Model) -> EmotionPrior | None:
    prior = model.prior
    return EmotionPrior(prior.name, prior.strength, prior.shares) if prior else None
