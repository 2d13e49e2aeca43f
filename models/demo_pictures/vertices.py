"""Vertex numbers of MediaPipe's face mesh, by facial feature."""

from typing import Final

# Outer corners of the person's right and left eye, used to level faces.
RIGHT_CORNER, LEFT_CORNER, NOSE_TIP = 33, 263, 1
CHIN, LOWER_LIP, MOUTH_CORNER = 152, 17, 61

LIPS: Final = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
INNER_LIPS: Final = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
RIGHT_EYE: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW: Final = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
RIM: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
NOSE: Final = (1, 98, 327, 48, 278, 64, 294, 129, 358, 2, 168)
# The points that the demo moves; the rest of the 468 only warp photographs.
MOVED: Final = tuple(
    sorted(
        {
            *LIPS, *INNER_LIPS, *RIGHT_EYE, *LEFT_EYE, *RIGHT_BROW, *LEFT_BROW, *RIM, *NOSE,
            *(4, 5, 195, 197, 6, 151, 9, 8, 108, 337, 69, 299, 199, 200, 18, 175, 201, 421),
            *(50, 280, 205, 425, 187, 411, 101, 330, 117, 346, 36, 266, 123, 352, 147, 376),
            *(213, 433, 27, 28, 29, 30, 56, 190, 223, 224, 225, 222, 221, 257, 258, 259, 260),
            *(286, 414, 443, 444, 445, 442, 441, 22, 23, 24, 26, 110, 112, 25, 252, 253, 254),
            *(256, 339, 341, 255),
        }
    )
)  # fmt: skip
