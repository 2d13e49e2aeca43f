"""The recorder's database and video files; only this package knows their tables and names."""
