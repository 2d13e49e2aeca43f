// The message for a stream whose emotions come from a standby instead of the active classifier.

export const STANDBY = "answered by a standby: the active classifier is not responding";
