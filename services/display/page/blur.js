// Blurs faces in a picture that is already on the page, in the same way as the display.

// Cells of one mean color that remain along the longer side of a face, and of a whole picture.
const FACE_CELLS = 5;
const PICTURE_CELLS = 12;

// `areas`: boxes in pixels of a frame that is `frameWidth` wide; null blurs the whole picture.
export function blurAreas(canvas, areas, frameWidth) {
  const scale = canvas.width / frameWidth;
  const boxes = areas?.map((box) => box.map((at) => scale * at));
  const all = [[0, 0, canvas.width, canvas.height]];
  const cells = areas === null ? PICTURE_CELLS : FACE_CELLS;
  for (const [x, y, width, height] of boxes ?? all) {
    const left = Math.max(Math.floor(x), 0);
    const top = Math.max(Math.floor(y), 0);
    const across = Math.min(Math.ceil(x + width), canvas.width) - left;
    const down = Math.min(Math.ceil(y + height), canvas.height) - top;
    if (across > 0 && down > 0) coarsen(canvas, [left, top, across, down], Math.max(width, height) / cells);
  }
}

// Removes detail finer than `cell` pixels from the region.
function coarsen(canvas, [left, top, across, down], cell) {
  const means = document.createElement("canvas");
  means.width = Math.ceil(across / cell);
  means.height = Math.ceil(down / cell);
  const small = means.getContext("2d", { alpha: false });
  small.imageSmoothingQuality = "high";
  small.drawImage(canvas, left, top, across, down, 0, 0, means.width, means.height);
  const pen = canvas.getContext("2d", { alpha: false });
  pen.drawImage(means, 0, 0, means.width, means.height, left, top, across, down);
}
