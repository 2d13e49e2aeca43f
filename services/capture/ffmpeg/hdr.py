"""Converts HDR video (PQ and HLG, BT.2020) to SDR (BT.709) with a lookup table."""

import functools
from fractions import Fraction
from typing import Final, TypeAlias

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from numpy.typing import NDArray

from emostream.shared.temporary_folder import naming_temporary_files, temporary_folder

Values: TypeAlias = NDArray[np.float64]

TRANSFERS: Final = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
# The luminance of white paper in HDR, cd/m2 (ITU-R BT.2408), which is about the white of SDR. Up to
# this share of it, luminance is unchanged; above, up to PEAK, it is compressed.
WHITE: Final = 203.0
KNEE: Final = 0.75
PEAK: Final = 1000.0
SDR_GAMMA: Final = 2.4  # ITU-R BT.1886
# Between its points FFmpeg interpolates.
GRID: Final = 33
# The times of frames are not used.
TIME_BASE: Final = Fraction(1, 90_000)
# From linear BT.2020 to linear BT.709 (ITU-R BT.2087).
TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
# ITU-R BT.2100, tables 4 and 5.
M1, M2, C1, C2, C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
A, B, C = 0.17883277, 0.28466892, 0.55991073
HLG_GAMMA: Final = 1.2
LUMA: Final = np.array([0.2627, 0.6780, 0.0593])


def is_hdr(frame: av.VideoFrame) -> bool:
    """Whether the frame's brightness is coded as PQ or HLG."""
    return frame.color_trc in TRANSFERS


class ToneMapper:
    """Converts the HDR frames of one source to SDR."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._graph = Graph()
        self._kind: object = None

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame as SDR, in the format bgr24."""
        rgb = self._reformatter.reformat(frame, format="gbrp16le", threads=1)
        kind = (frame.width, frame.height, frame.color_trc, frame.color_primaries)
        if kind != self._kind:
            # Frames without declared primaries are assumed to be BT.2020, like most HDR video.
            wide = frame.color_primaries != ColorPrimaries.BT709
            self._kind = kind
            self._graph = _graph(rgb, ColorTrc(frame.color_trc), wide=wide)
        self._graph.push(rgb)
        mapped = self._graph.pull()
        assert isinstance(mapped, av.VideoFrame)
        return mapped


def _graph(frame: av.VideoFrame, transfer: ColorTrc, *, wide: bool) -> Graph:
    graph = Graph()
    graph.threads = 1
    with temporary_folder() as folder:
        path = folder / "hdr.cube"
        with naming_temporary_files():
            path.write_text(_cube(transfer, wide=wide), "ascii")
        graph.link_nodes(
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=TIME_BASE,
            ),
            graph.add("lut3d", file=str(path)),
            graph.add("format", "bgr24"),
            graph.add("buffersink"),
        ).configure()
    return graph


@functools.cache
def _cube(transfer: ColorTrc, *, wide: bool) -> str:
    """Return the table in the format of .cube files, with red changing fastest."""
    axis = np.linspace(0.0, 1.0, GRID)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer, wide=wide)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table.tolist())
    return f"LUT_3D_SIZE {GRID}\n{rows}\n"


def sdr(coded: Values, transfer: ColorTrc, *, wide: bool = True) -> Values:
    """Convert colors (N, 3), R G B from 0 to 1, from HDR coding to SDR coding.

    `wide` colors have the primaries of BT.2020, others those of BT.709.
    """
    light = (_pq_light(coded) if transfer == ColorTrc.SMPTE2084 else _hlg_light(coded)) / WHITE
    if wide:
        light = np.maximum(light @ TO_BT709.T, 0.0)
    # The strongest of the three determines the factor for all, so that hues do not change.
    strongest = np.maximum(light.max(axis=1, keepdims=True), 1e-6)
    mapped = light * (_compressed(strongest) / strongest)
    return np.asarray(np.clip(mapped, 0.0, 1.0) ** (1 / SDR_GAMMA))


def _pq_light(coded: Values) -> Values:
    """Return the luminance of PQ, cd/m2."""
    power = coded ** (1 / M2)
    return np.asarray(1e4 * (np.maximum(power - C1, 0.0) / (C2 - C3 * power)) ** (1 / M1))


def _hlg_light(coded: Values) -> Values:
    """Return the luminance of HLG on a display of PEAK, cd/m2."""
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - C) / A) + B) / 12)
    luminance = np.maximum(scene @ LUMA, 1e-9)[:, None]
    return np.asarray(PEAK * luminance ** (HLG_GAMMA - 1) * scene)


def _compressed(light: Values) -> Values:
    """Compress luminance, in shares of WHITE, from a maximum of PEAK to a maximum of 1."""
    # Reinhard's curve with a white point, beyond the knee.
    most = (PEAK / WHITE - KNEE) / (1 - KNEE)
    over = np.clip((light - KNEE) / (1 - KNEE), 0.0, most)
    curve = over * (1 + over / most**2) / (1 + over)
    return np.asarray(np.where(light < KNEE, light, KNEE + (1 - KNEE) * curve))
