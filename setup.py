"""Lists what is installed: the folders at the top level are imported as `emostream.<folder>`.

An installed emostream has the folders of the checkout next to each other, so code finds a file by
the same path in both.
"""

from setuptools import find_packages, setup

FOLDERS = ("services", "shared", "models")
WEIGHTS = ("csv", "keras", "sha256", "tflite", "toml")
# Files that are no modules, by package; a test compares them with what the folders hold.
DATA = {
    "emostream.services": ["**/*.css", "**/*.html", "**/*.js", "**/*.npz", "**/*.svg", "**/*.webp"],
    "emostream.models": [
        *("CARD.md", "quality.png", "quality.toml", "**/*.html"),
        *(f"weights/*.{kind}" for kind in WEIGHTS),
    ],
    "emostream.configs": ["**/*.toml"],
    "emostream.docs": ["configuration.md", "schemas/*.json"],
}

setup(
    package_dir={
        "emostream": "emostream",
        "emostream.configs": "configs",
        "emostream.docs": "docs",
        **{f"emostream.{name}": name for name in FOLDERS},
    },
    packages=[
        "emostream",
        "emostream.configs",
        "emostream.docs",
        *(
            f"emostream.{package}"
            for folder in FOLDERS
            for package in find_packages(include=[folder, f"{folder}.*"])
        ),
    ],
    package_data=DATA,
)
