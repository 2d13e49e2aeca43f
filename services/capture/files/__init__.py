"""Video files and network streams, decoded with FFmpeg."""
