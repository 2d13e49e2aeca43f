// A snapshot: the picture with its boxes as PNG, and the data of that frame as JSON.

import { faceColor, make, numberOf, percent } from "./emotions.js";
import { labelText } from "./face-states.js";

// Saves both; resolves to their common name.
export async function snapshot(tile, settings, preferences) {
  const { facts, faces, stream } = tile;
  // Copied immediately, because the tile moves on to its next picture.
  const picture = draw(tile.canvas, facts, faces, settings);
  const time = new Date(facts.t).toISOString();
  const name = `${stream}-${time.replaceAll(":", "-")}-${facts.seq}`;
  const metadata = {
    ...facts,
    time,
    picture: { width: picture.width, height: picture.height },
    view: {
      smoothing: preferences.smoothing,
      sensitivity: preferences.sensitivity,
      threshold: preferences.threshold,
      hidden: preferences.hidden,
    },
    shown: faces.map(({ track, label, confidence, state }) => ({ track, label, confidence, state })),
  };
  const json = new Blob([`${JSON.stringify(metadata, null, 2)}\n`], { type: "application/json" });
  const png = await new Promise((done) => picture.toBlob(done, "image/png"));
  save(png, `${name}.png`);
  save(json, `${name}.json`);
  return name;
}

function draw(source, facts, faces, settings) {
  const picture = make("canvas");
  picture.width = source.width;
  picture.height = source.height;
  const pen = picture.getContext("2d", { alpha: false });
  pen.drawImage(source, 0, 0);
  const size = Math.min(Math.max(picture.width / 70, 11), 20);
  for (const face of faces) drawFace(pen, face, picture.width / facts.width, size, settings);
  return picture;
}

function drawFace(pen, face, scale, size, settings) {
  const [x, y, width, height] = face.box.map((at) => scale * at);
  const line = size / 6;
  pen.setLineDash(face.state === "sure" ? [] : [size / 2, size / 3]);
  pen.lineWidth = line;
  pen.strokeStyle = faceColor(numberOf(face.track));
  pen.strokeRect(x, y, width, height);
  if (face.state === "left out") return;
  const share = face.state === "other" ? "" : ` ${percent(face.confidence)}`;
  const words = [` ${numberOf(face.track)} `, ` ${labelText(face)}${share} `];
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const widths = words.map((text) => pen.measureText(text).width);
  const down = 1.4 * size;
  const top = y - down - line < 0 ? y + line : y - down - line;
  const left = Math.min(x, pen.canvas.width - widths[0] - widths[1]);
  const style = settings.styleOf(face.label);
  const [ground, ink] = face.state === "sure" ? [style.color, style.ink] : ["#20272f", "#ffffff"];
  pen.textBaseline = "middle";
  write(pen, words[0], faceColor(numberOf(face.track)), "#000000", [left, top, widths[0], down]);
  write(pen, words[1], ground, ink, [left + widths[0], top, widths[1], down]);
}

function write(pen, text, ground, ink, [x, y, width, height]) {
  pen.fillStyle = ground;
  pen.fillRect(x, y, width, height);
  pen.fillStyle = ink;
  pen.fillText(text, x, y + height / 2);
}

function save(blob, name) {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has started to save it by the next task; a minute is enough for all browsers.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
