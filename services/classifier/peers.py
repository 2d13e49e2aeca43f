"""Classifiers that take over from each other: what one hears from its peer and continues from."""

import logging
from collections.abc import Sequence

from emostream.services.classifier.handover import Beginning, HandoverInbox
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.stage import ClassifierStage, Role
from emostream.shared.account import ANSWERED
from emostream.shared.bus import RESULTS_HWM, Subscription
from emostream.shared.config import Classifier as Settings
from emostream.shared.errors import MessageError
from emostream.shared.inbox import LiveInbox
from emostream.shared.messages import Emotion, Message
from emostream.shared.sequence_validator import SequenceValidator
from emostream.shared.sequences import sequence_part
from emostream.shared.service import Service
from emostream.shared.stream_limit import StreamLimit

log = logging.getLogger("emostream")


def role_of(settings: Settings, peers: Sequence[str]) -> Role:
    """Return this classifier's role from the configuration and its `peers`."""
    if settings.standby:
        return Role.STANDBY
    return Role.ACTIVE if peers else Role.ALONE


def live_inbox(
    service: Service, peers: Sequence[str], shards: Sequence[int], metrics: ClassifierMetrics
) -> LiveInbox | HandoverInbox:
    """Return the inbox for faces; with peers, one that follows their answers."""
    live, settings = service.live_inbox(), service.config.classifier
    metrics.standby.set(settings.standby)
    if not peers:
        return live
    inbox = HandoverInbox(
        live,
        FollowedFrames(service, metrics),
        settings.takeover_after,
        is_standby=settings.standby,
    )
    validator = SequenceValidator()
    limits = service.config.live

    def forget(stream: str) -> None:
        inbox.forget(stream)
        validator.forget(stream)

    # A peer may send streams of which this process has no faces.
    admitted = StreamLimit(limits.max_streams, limits.silent_after, forget)
    service.on_stream_gone(inbox.forget)
    service.on_stream_gone(validator.forget)

    def hear(message: Message) -> None:
        header = message.header
        # A probe is not an answer; a jump that continues is.
        if sequence_part(header) in shards and not header.probe:
            admitted.admit(header.stream)
            validator.check(message)
            inbox.hear(header)

    service.listen([Subscription(peers, ["emotion/"], RESULTS_HWM)], hear)
    return inbox


def begin(inbox: LiveInbox | HandoverInbox, messages: list[Message]) -> Beginning:
    """Return how to start on the messages; without peers, with all of them and no state."""
    return inbox.begin(messages) if isinstance(inbox, HandoverInbox) else Beginning([], messages)


def follow_peer(service: Service, stage: ClassifierStage, states: list[Emotion]) -> list[Message]:
    """Continue once from the peer's state, without publishing anything."""
    while states:
        try:
            stage.go_on_from(states.pop(0))
        except MessageError as error:
            service.bad_message(error)
    return []


class FollowedFrames:
    """Accounts for the peer's answers, and reports when a standby answers instead."""

    def __init__(self, service: Service, metrics: ClassifierMetrics) -> None:
        self._service = service
        self._metrics = metrics

    def followed(self, message: Message, fate: str) -> None:
        """Record that this process does not answer the message: the peer did, or nobody will."""
        accounts = self._service.metrics.accounts
        if fate == ANSWERED:
            accounts.take(message.header)
            self._service.health.mark_progress(message.header.stream)
        else:
            accounts.note(message, fate)

    def answers(self, stream: str, part: int, *, on: bool) -> None:
        """Record that this standby now answers the part, or no longer does."""
        self._metrics.standby_answers(stream, part, on=on)
        if on:
            log.warning(
                "%s, part %d: the active classifier is silent; this standby answers", stream, part
            )
        else:
            log.info("%s, part %d: the active classifier answers again", stream, part)
