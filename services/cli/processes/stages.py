"""The stages, in the order in which a frame passes them, and what each of them does."""

STAGES = {
    "capture": "reads pictures from cameras, files, URLs or the demo",
    "detector": "finds, aligns and follows faces",
    "classifier": "tells what each face expresses",
    "recorder": "keeps video, observations and events",
    "display": "shows it all on a web page",
}
