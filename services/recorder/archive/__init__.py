"""The recorder's database and video files: the only package that knows their tables and names."""
