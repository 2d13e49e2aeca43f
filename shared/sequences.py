"""The position of a message in its stream: its part, and the number of earlier frames."""

from emostream.shared.messages import AnyHeader, Emotion, Faces, Frame


def frame_part(header: AnyHeader) -> int | None:
    """Return the message's part of its frame; None if it has no frame or part."""
    return stream_part(header) if header.is_data else None


def stream_part(header: AnyHeader) -> int | None:
    """Return the part of the stream for a frame, probe or end; None for other messages."""
    match header:
        case Frame():
            return 0
        case Faces() | Emotion():
            return header.part
        case _:
            return None


def sequence_part(header: AnyHeader) -> int:
    """Return the part of the stream that a message belongs to; 0 if it has no parts."""
    return stream_part(header) or 0


def is_of_stream(topic: str, stream: str) -> bool:
    """Whether a topic belongs to the stream."""
    return topic.endswith(f"/{stream}/")


def frames_before(header: AnyHeader) -> int:
    """Return how many frames of the run precede a message; for a probe, its `base`."""
    return header.base if header.probe else header.seq
