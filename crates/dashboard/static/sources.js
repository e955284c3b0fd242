// The table of sources: who was asked, and how it went.

import { write } from "./freshness.js";

const TITLES = JSON.parse(document.body.dataset.titles);

/** Each line names the figures it stands for; the worst of them is its state. */
export function paintSources(summary) {
  const fields = summary.fields ?? {};
  for (const line of document.querySelectorAll("[data-source]")) {
    const states = line.dataset.source.split(" ").map((name) => fields[name]?.status ?? "missing");
    const state = ["missing", "stale"].find((bad) => states.includes(bad)) ?? "fresh";
    line.dataset.status = state;
    // Simulated figures keep the name of whom they imitate.
    const names = new Set(line.dataset.source.split(" ").map((name) => TITLES[fields[name]?.source]));
    names.delete(undefined);
    if (names.size > 0) write(line.querySelector("[data-name]"), [...names].join(", "));
    write(line.querySelector("[data-state]"), state);
  }
}
