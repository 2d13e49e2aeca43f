"""The place of a message in the sequence of its stream: its part, and what came before."""

from emostream.shared.messages import AnyHeader, Emotion, Faces, Frame


def frame_part(header: AnyHeader) -> int | None:
    """Return which part of its frame per message is; None if it stands for no frame or part."""
    return stream_part(header) if header.is_data else None


def stream_part(header: AnyHeader) -> int | None:
    """Return which part of its stream a frame's message, probe or end is of; None for others."""
    match header:
        case Frame():
            return 0
        case Faces() | Emotion():
            return header.part
        case _:
            return None


def sequence_part(header: AnyHeader) -> int:
    """Return which part of its stream a message belongs to; 0 for what is not dealt in parts."""
    return stream_part(header) or 0


def is_of_stream(topic: str, stream: str) -> bool:
    """Whether a message's topic is one of the stream's."""
    return topic.endswith(f"/{stream}/")


def frames_before(header: AnyHeader) -> int:
    """Return how many frames of the run came before a message: in a probe they are its `base`."""
    return header.base if header.probe else header.seq
