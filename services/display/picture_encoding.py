"""The packet of a picture with its results: JSON length, JSON, JPEG."""

from collections.abc import Sequence

import msgspec

from emostream.services.display.schema import FaceState
from emostream.shared.blur import FaceBlur
from emostream.shared.join import Joined
from emostream.shared.messages import Box, EmotionFace, Frame


def picture_packet(
    joined: Joined, jpeg: bytes, blur: FaceBlur, kept: Sequence[EmotionFace] = ()
) -> bytes:
    """Return 4 bytes (big-endian: the length of the JSON), the JSON, and the JPEG.

    Times are ms; boxes are in pixels of the frame, whose size is `width` x `height` even if the
    JPEG is smaller. `kept` are faces of earlier frames, if results are missing. `blur_areas` are
    the boxes to blur if blur is requested later for a picture that is not `blurred` (a paused page
    has no newer one), null for the whole picture.
    """
    header = joined.frame.header
    assert isinstance(header, Frame)
    facts = {
        "stream": header.stream,
        "run": header.run,
        "seq": header.seq,
        "t": header.t / 1e6,
        "pts": header.pts / 1e6,
        "width": header.width,
        "height": header.height,
        "results": joined.completeness,
        "faces": [FaceState.of(face) for face in joined.faces],
        "kept": [FaceState.of(face) for face in kept],
        "prior": _shares(joined),
        "blurred": blur.switch.is_on(header.stream),
        "blur_areas": _rounded(blur.areas(joined)),
    }
    text = msgspec.json.encode(facts)
    return b"".join((len(text).to_bytes(4, "big"), text, jpeg))


def _rounded(areas: list[Box] | None) -> list[list[int]] | None:
    return None if areas is None else [[round(number) for number in area] for area in areas]


def _shares(joined: Joined) -> dict[str, float]:
    """Return the label shares that the probabilities assume, empty if unknown."""
    priors = (result.prior for result in joined.results if result.prior)
    return next((prior.shares for prior in priors), {})
