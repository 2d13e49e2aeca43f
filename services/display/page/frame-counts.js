// The frame counts of a stream: what happened to each captured frame.

import { count, make } from "./emotions.js";

const PATHS = {
  "emotions": "emotions",
  "rows": "recorded rows",
  "pixels to display": "frames to this page",
  "pixels to recorder": "frames to the recorder",
};

const NOTE = 'Since the processes started. On the first path, "shown" means answered with emotions, on the second '
  + 'written. "Lost with a process" counts frames that a killed process held or that arrived before its successor '
  + 'was ready. Stages are queried one after the other, so "in flight" may be off by a few frames.';

export class FrameCounts {
  constructor() {
    this.element = make("details", "account");
    this.element.hidden = true;
    this.sum = make("summary");
    this.table = make("table");
    const head = make("tr");
    for (const title of ["path", "captured", "shown", "dropped", "lost", "lost with a process", "in flight"]) {
      const cell = make("th", "", title);
      cell.scope = "col";
      head.append(cell);
    }
    this.head = make("thead");
    this.head.append(head);
    this.body = make("tbody");
    this.table.append(this.head, this.body);
    const note = make("p", "hint", NOTE);
    const more = make("div", "more");
    more.append(this.table, note);
    this.element.append(this.sum, more);
  }

  // `rows`: those of this stream, one per path.
  update(rows) {
    const main = rows.find((row) => row.path === "emotions") ?? rows[0];
    this.element.hidden = !main;
    if (!main) return;
    this.sum.textContent = sentence(main);
    if (this.element.open) this.body.replaceChildren(...rows.map(line));
    else this.element.ontoggle = () => this.update(rows);
  }
}

function sentence({ captured, answered, dropped, lost, lost_with_process: killed, in_flight: inFlight }) {
  const parts = [`${count(answered)} shown`];
  if (dropped.length > 0) parts.push(`${count(total(dropped))} dropped (${reasonsOf(dropped)})`);
  if (lost.length > 0) parts.push(`${count(total(lost))} lost`);
  if (killed.length > 0) parts.push(`${count(total(killed))} lost with a process (${stagesOf(killed)})`);
  const rest = `${inFlight < 0 ? "−" : "+"} ${count(Math.abs(inFlight))} in flight`;
  return `${count(captured)} captured = ${parts.join(" + ")} ${rest}`;
}

function reasonsOf(dropped) {
  const stages = [...new Set(dropped.map(({ stage }) => stage))];
  const of = (stage) => dropped.filter((part) => part.stage === stage).map(({ reason }) => reason);
  return stages.map((stage) => `${stage}: ${of(stage).join(", ")}`).join("; ");
}

const stagesOf = (parts) => parts.map(({ stage }) => stage).join(", ");

function line({ path, part, captured, answered, dropped, lost, lost_with_process: killed, in_flight: inFlight }) {
  const row = make("tr");
  const name = make("th", "", (PATHS[path] ?? path) + (part === null ? "" : `, part ${part}`));
  name.scope = "row";
  row.append(name);
  for (const text of [
    count(captured),
    count(answered),
    dropped.map((part) => `${count(part.count)} ${part.stage}: ${part.reason}`).join("\n") || "0",
    lost.map((part) => `${count(part.count)} before ${part.stage}`).join("\n") || "0",
    killed.map((one) => `${count(one.count)} ${one.stage}`).join("\n") || "0",
    count(inFlight),
  ]) row.append(make("td", "", text));
  return row;
}

const total = (parts) => parts.reduce((sum, part) => sum + part.count, 0);
