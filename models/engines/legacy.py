"""Models saved as .h5 by Keras 2, written anew where Keras 3 would not read them."""

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py

UNGROUPED: Final = ("DepthwiseConv2D", "SeparableConv2D")


@contextmanager
def keras3_file(path: Path) -> Iterator[Path]:
    """Give the path of an .h5 file that Keras 3 reads: the same, or a temporary converted copy."""
    with h5py.File(path) as file:
        written = file.attrs.get("model_config")
    config = json.loads(written) if written is not None else {}
    new = keras3_config(config)
    if new == config:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        mine = Path(folder) / path.name
        shutil.copyfile(path, mine)
        with h5py.File(mine, "r+") as file:
            file.attrs["model_config"] = json.dumps(new)
        yield mine


def keras3_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a model as Keras 3 understands it.

    Keras 2 wrote a Sequential as a bare list of layers at first, the input's shape into the first
    of them, and `groups` into layers that have lost them.
    """
    config = copy.deepcopy(config)
    if isinstance(config.get("config"), list):
        config["config"] = {"name": "sequential", "layers": config["config"]}
    layers = config.get("config", {}).get("layers", [])
    for layer in layers:
        if layer["class_name"] in UNGROUPED and layer["config"].get("groups") == 1:
            del layer["config"]["groups"]
    if config.get("class_name") == "Sequential":
        _move_input_shape(layers)
    return config


def _move_input_shape(layers: list[dict[str, Any]]) -> None:
    """Bring the shape that a layer carries, the number of faces first, into an input of its own."""
    # Keras 3 would add that first axis to the picture's.
    shapes = [
        layer["config"].pop("batch_input_shape", None)
        for layer in layers
        if layer["class_name"] != "InputLayer"
    ]
    if shapes and shapes[0] is not None and layers[0]["class_name"] != "InputLayer":
        layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shapes[0]}})
