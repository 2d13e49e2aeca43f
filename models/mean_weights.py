"""Averages the weights of trained networks: python -m emostream.models.mean_weights."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from emostream.models.checkpoint import load_net
from emostream.models.net_program import net_parser, write_or_explain
from emostream.shared.errors import ModelError


def mean_net(nets: Sequence[Any]) -> Any:
    """Return the first Keras model with the mean of all models' weights (Wortsman et al. 2022).

    They should have a common ancestor: an average of networks from different random weights is
    useless. Raises ModelError if their shapes differ.
    """
    values = [net.get_weights() for net in nets]
    shapes = [[value.shape for value in each] for each in values]
    if any(each != shapes[0] for each in shapes):
        raise ModelError("the networks have different layers, so their weights cannot be averaged")
    nets[0].set_weights([np.mean(same, axis=0) for same in zip(*values, strict=True)])
    return nets[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, return the exit status."""
    parser = net_parser(
        "emostream.models.mean_weights",
        "Averages the weights of trained networks of the same architecture and ancestry.",
        ".keras",
    )
    chosen = parser.parse_args(arguments)
    return write_or_explain(
        chosen.out,
        lambda: mean_net([load_net(path) for path in chosen.nets]).save(chosen.out),
    )


if __name__ == "__main__":
    sys.exit(main())
