"""Reads from a stage's accounts how its frames ended."""

from collections import Counter, defaultdict

from emostream.shared.accounts import Accounts


def frame_fates(accounts: Accounts) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Return the frames that are known of each stream, and how they ended."""
    known, fates = Counter[str](), defaultdict[str, Counter[str]](Counter)
    for metric in accounts.collect():
        for sample in metric.samples:
            stream = sample.labels["stream"]
            if sample.name == "emostream_frames_known":
                known[stream] = round(sample.value)
            elif sample.name == "emostream_frames_accounted":
                fates[stream][sample.labels["fate"]] = round(sample.value)
    return known, fates
