// Brings the server's page to life: link in, figures out.

import { paintFigures, sentence } from "./cards.js";
import { learnClock, paintMarks, tick, write } from "./freshness.js";
import { Link } from "./link.js";
import { paintSources } from "./sources.js";
import { extendTrail, paintTrails } from "./trail.js";

// A reconnect that is over before this is nobody's business (no flashing).
const QUIET_MS = 3_000;
const SAY_EVERY_MS = 60_000;

const LINK_WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
};

const chip = document.getElementById("link");
const pause = document.getElementById("pause");
const said = document.getElementById("said");

let latest = null;
let lastSeq = -1;
let saidAt = 0;
let isFirst = true;
let isPaused = false;
let quiet = 0;

function paint() {
  if (!latest || isPaused) return;
  paintFigures(latest, isFirst);
  paintMarks(latest);
  paintSources(latest);
  paintTrails();
  isFirst = false;
  if (Date.now() - saidAt > SAY_EVERY_MS) {
    saidAt = Date.now();
    write(said, sentence(latest));
  }
}

function receive({ type, data, seq, timestamp }) {
  if (type !== "snapshot" && type !== "dashboard_update" && type !== "poll") return;
  if (timestamp) learnClock(timestamp);
  // After a reconnect the snapshot is the truth, whatever came before it.
  if (type === "dashboard_update" && seq <= lastSeq) return;
  if (typeof seq === "number") lastSeq = seq;
  if (!data) return;
  latest = data;
  for (const svg of document.querySelectorAll("[data-trail]")) {
    extendTrail(svg.dataset.trail, data[svg.dataset.trail]);
  }
  paint();
}

function showLink(state) {
  clearTimeout(quiet);
  const show = () => {
    chip.dataset.state = state;
    write(chip, LINK_WORDS[state]);
  };
  if (state === "reconnecting" && chip.dataset.state === "live") quiet = setTimeout(show, QUIET_MS);
  else show();
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  write(pause.querySelector("span"), isPaused ? "Resume" : "Pause");
  document.documentElement.dataset.paused = String(isPaused);
  paint();
});

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const link = new Link(`${scheme}//${location.host}/ws`, "/api/crypto/dashboard-summary");
link.addEventListener("message", (event) => receive(event.detail));
link.addEventListener("state", (event) => showLink(event.detail));

document.documentElement.dataset.script = "on";
setInterval(() => isPaused || tick(), 1_000);
link.open();
