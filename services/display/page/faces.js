// The eight probabilities of each face, as bars.

export function showFaces(parent, faces, settings) {
  if (!faces.length) {
    if (!parent.querySelector(".hint")) parent.innerHTML = '<p class="hint">no face in the picture</p>';
    return;
  }
  parent.querySelector(".hint")?.remove();
  const sorted = [...faces].sort((a, b) => a.track - b.track);
  while (parent.children.length > sorted.length) parent.lastChild.remove();
  sorted.forEach((face, index) => {
    const card = parent.children[index] ?? parent.appendChild(newCard(settings));
    card.dataset.track = face.track;
    card.querySelector("h3 b").textContent = face.label;
    card.querySelector("h3 small").textContent = `face ${face.number}`;
    for (const bar of card.querySelectorAll(".bar")) {
      const share = face.smoothed[bar.dataset.emotion] ?? 0;
      bar.classList.toggle("shown", bar.dataset.emotion === face.label);
      bar.querySelector(".fill").style.transform = `scaleX(${share})`;
      bar.querySelector(".share").textContent = `${Math.round(100 * share)}%`;
    }
  });
}

function newCard(settings) {
  const card = document.createElement("article");
  card.className = "face";
  card.innerHTML = "<h3><b></b><small></small></h3>";
  for (const emotion of settings.labels) {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.dataset.emotion = emotion;
    bar.style.setProperty("--color", settings.colors[emotion]);
    bar.innerHTML = '<span class="name"></span><span class="track"><span class="fill"></span></span><span class="share"></span>';
    bar.firstChild.textContent = emotion;
    card.append(bar);
  }
  return card;
}
