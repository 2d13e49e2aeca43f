"""The names of metrics that other processes read, in a single place."""

from enum import StrEnum


class MetricName(StrEnum):
    """A metric's name as scraped; for a histogram without `_bucket`, `_sum` and `_count`."""

    # Of every stage, from its start.
    READY = "emostream_ready"
    DOWN = "emostream_down"
    FRAMES_TAKEN = "emostream_frames_taken_total"
    FRAMES_GIVEN = "emostream_frames_given_total"
    FRAMES_DROPPED = "emostream_frames_dropped_total"
    FRAMES_LOST = "emostream_frames_lost_total"
    FRAMES_KNOWN = "emostream_frames_known"
    FRAMES_ACCOUNTED = "emostream_frames_accounted"
    FRAMES_LOST_WITH_PROCESS = "emostream_frames_lost_with_process_total"
    RUN_FRAMES = "emostream_run_frames"
    BAD_MESSAGES = "emostream_bad_messages_total"
    HANDSHAKE_FAILURES = "emostream_handshake_failures_total"
    WRONG_TOKENS = "emostream_wrong_tokens_total"
    CERTIFICATE_EXPIRY = "emostream_tls_certificate_expiry_timestamp_seconds"
    DUPLICATE_ANSWERS = "emostream_duplicate_answers_total"
    LOCAL_FRAMES = "emostream_local_frames_total"
    FACES = "emostream_faces_total"
    LATENCY_SECONDS = "emostream_latency_seconds"
    STAGE_SECONDS = "emostream_stage_seconds"
    QUEUE_DEPTH = "emostream_queue_depth"
    CLOCK_OFFSET = "emostream_clock_offset_seconds"
    CLOCK_UNCERTAINTY = "emostream_clock_uncertainty_seconds"
    # Of the classifier, for each stream.
    FACES_LEFT_OUT = "emostream_faces_left_out_total"
    # Of the relay, for each of its sources.
    RELAY_CONNECTED = "emostream_relay_source_connected"
    RELAY_MESSAGES = "emostream_relay_messages_total"
    RELAY_BYTES = "emostream_relay_bytes_total"
    # Of the classifier, from its start: 1 if it is a standby.
    CLASSIFIER_STANDBY = "emostream_classifier_standby"
    # Of the detector, once it has chosen its weights.
    DETECTOR_WHOLE_ONLY = "emostream_detector_whole_only_frames_total"
    # Of the capture, once it reads its sources.
    SOURCE_SKIPPED = "emostream_source_skipped_total"
    # Of the recorder, once it has opened its database.
    RECORDER_ROWS = "emostream_recorder_rows_total"
    RECORDER_RECORDING = "emostream_recorder_recording"
    RECORDER_BLURRED = "emostream_recorder_blurred"
