"""Video files and network streams, decoded by FFmpeg through PyAV."""
