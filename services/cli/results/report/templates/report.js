// The page works without this script, which adds jumps in the player, zoom, and values under the pointer.
const data = JSON.parse(document.getElementById("data").textContent);
const tracks = document.getElementById("tracks");
const lanes = [...document.querySelectorAll(".lane")];
const video = document.querySelector("video");
const stage = document.querySelector(".screen");
const clamp = (value, most) => Math.min(Math.max(value, 0), most);

function clock(seconds) {
  const whole = Math.floor(seconds * 100 + 1e-6);
  const [hours, minutes, rest] = [Math.floor(whole / 360000), Math.floor(whole / 6000) % 60, whole % 6000];
  const text = (rest / 100).toFixed(2).padStart(5, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${text}` : `${minutes}:${text}`;
}

// The most probable emotion of each face at a time.
const points = new Map(Object.entries(data.faces).map(([face, rows]) => [face, new Map(rows.map(([index, ...values]) => [index, values]))]));

function partAt(time) {
  let [low, high] = [0, data.parts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (data.parts[middle] <= time) low = middle; else high = middle;
  }
  return low;
}

function read(time) {
  const part = partAt(time);
  for (const lane of lanes) {
    const track = lane.closest(".track");
    const values = points.get(track.dataset.face).get(part);
    const words = [clock(time)];
    if (values) {
      const order = values.map((value, index) => [value, index]).filter(([value]) => value > 0).sort((a, b) => b[0] - a[0]);
      for (const [value, index] of order.slice(0, 3)) words.push(`${data.labels[index]} ${value}%`);
    } else words.push("not seen");
    const spans = words.map((text) => Object.assign(document.createElement("span"), { textContent: text }));
    track.querySelector(".reading").replaceChildren(...spans);
  }
}

function show(line, time) {
  tracks?.style.setProperty(`--${line}`, time / data.length);
  tracks?.classList.add(`${line}ing`);
  if (tracks) read(time);
}

// The video, which moves to a corner of the window after a jump from elsewhere on the page.
let jumped = false;

function jump(time) {
  jumped = true;
  video.currentTime = time;
  document.getElementById("said").textContent = `Video at ${clock(time)}`;
  follow();
}

function follow() {
  const { top, bottom } = stage.getBoundingClientRect();
  const seen = Math.min(bottom, innerHeight) - Math.max(top, 0);
  stage.classList.toggle("away", jumped && seen < 0.4 * (bottom - top));
}

function giveUp() {
  document.getElementById("player").hidden = true;
  document.getElementById("unplayable").hidden = false;
  document.querySelector(".side-by-side").classList.add("alone");
  tracks?.classList.remove("jumps");
  for (const link of document.querySelectorAll("[data-t]")) link.removeAttribute("href");
}

if (video) {
  const playable = () => !document.getElementById("player").hidden;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-t]");
    if (!link || !playable() || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    jump(Number(link.dataset.t));
  });
  for (const lane of lanes) {
    lane.addEventListener("click", (event) => {
      if (!event.target.closest("[data-t]") && playable()) jump(timeUnder(lane, event));
    });
  }
  video.addEventListener("loadedmetadata", () => {
    if (video.videoWidth) stage.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
  });
  for (const kind of ["seeking", "timeupdate"]) video.addEventListener(kind, () => show("play", clamp(video.currentTime, data.length)));
  video.addEventListener("error", giveUp);
  if (video.error) giveUp();
  addEventListener("scroll", follow, { passive: true });
  document.querySelector(".close").addEventListener("click", () => {
    jumped = false;
    video.pause();
    follow();
  });
}

// The pointer.
function timeUnder(lane, event) {
  const { left, width } = lane.firstElementChild.getBoundingClientRect();
  return clamp((event.clientX - left) / width, 1) * data.length;
}

for (const lane of lanes) {
  lane.addEventListener("pointermove", (event) => show("point", timeUnder(lane, event)));
  lane.addEventListener("pointerleave", () => {
    tracks.classList.remove("pointing");
    if (video && tracks.classList.contains("playing")) read(clamp(video.currentTime, data.length));
  });
}

// As many pictures as fit, longest spans first.
function lay() {
  for (const lane of lanes) {
    const width = lane.firstElementChild.clientWidth;
    const taken = [];
    const all = [...lane.querySelectorAll(".pictures > *")];
    for (const one of all.sort((a, b) => b.dataset.held - a.dataset.held)) {
      const left = Math.min(one.dataset.at * width, width - 62);
      one.hidden = taken.some((other) => Math.abs(other - left) < 65);
      if (!one.hidden) taken.push(left);
    }
  }
}

// Zoom, around the video's position or else the center; all timelines scroll together.
function zoom(times) {
  const [first] = lanes;
  const playing = tracks.classList.contains("playing");
  const middle = playing ? video.currentTime / data.length : (first.scrollLeft + first.clientWidth / 2) / first.scrollWidth;
  tracks.dataset.zoom = times;
  tracks.style.setProperty("--zoom", times);
  lay();
  for (const lane of lanes) {
    lane.toggleAttribute("tabindex", false);
    if (times > 1) lane.tabIndex = 0;
    lane.scrollLeft = middle * lane.scrollWidth - lane.clientWidth / 2;
  }
}

for (const lane of lanes) {
  lane.addEventListener("scroll", () => {
    for (const other of lanes) if (Math.abs(other.scrollLeft - lane.scrollLeft) > 1) other.scrollLeft = lane.scrollLeft;
  }, { passive: true });
}

if (lanes.length) {
  const choice = document.getElementById("zoom");
  choice.hidden = choice.querySelectorAll("input").length < 2;
  choice.addEventListener("change", (event) => zoom(Number(event.target.value)));
  addEventListener("resize", lay);
  lay();
}

document.getElementById("only")?.addEventListener("change", (event) => {
  const face = event.target.value;
  for (const row of document.getElementById("events").rows) row.hidden = face !== "" && row.dataset.face !== face;
});
