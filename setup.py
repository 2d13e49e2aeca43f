"""Lists the packages: the folders at the top level are imported as `emostream.<folder>`."""

from setuptools import find_packages, setup

FOLDERS = ("services", "shared", "models")

setup(
    package_dir={"emostream": "emostream", **{f"emostream.{name}": name for name in FOLDERS}},
    packages=[
        "emostream",
        *(
            f"emostream.{package}"
            for folder in FOLDERS
            for package in find_packages(include=[folder, f"{folder}.*"])
        ),
    ],
)
