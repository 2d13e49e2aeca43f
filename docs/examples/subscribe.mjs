// The same in JavaScript (Node 18 or later): npm ci, then node subscribe.mjs [tcp://host:5553]
import { decode } from "@msgpack/msgpack";
import { Subscriber } from "zeromq";

const socket = new Subscriber();
socket.connect(process.argv[2] ?? "tcp://127.0.0.1:5553");
socket.subscribe("event/");
for await (const [topic, header] of socket) {
  const event = decode(header);
  if (event.probe || event.end) continue; // these carry no event
  const { stream, track, kind, label, confidence } = event;
  console.log(`${stream} ${track} ${kind} ${label} ${Math.round(confidence * 100)}%`);
}
