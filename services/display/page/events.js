// The list of what happened, newest first.

const MOST = 20;

export function showEvents(list, events, settings) {
  if (!events.length) return;
  list.replaceChildren(...events.slice(-MOST).reverse().map((event) => item(event, settings)));
}

function item(event, settings) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date(event.t).toLocaleTimeString();
  line.append(time, `face ${event.number} `, ...words(event, settings));
  return line;
}

function words(event, settings) {
  const label = [swatch(settings.colors[event.label]), event.label];
  switch (event.kind) {
    case "enter": return ["came: ", ...label];
    case "leave": return ["left, last ", ...label];
    default: return [`${event.previous} → `, ...label];
  }
}

function swatch(color) {
  const element = document.createElement("span");
  element.className = "swatch";
  element.style.setProperty("--color", color ?? "#fff");
  return element;
}
