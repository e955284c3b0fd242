// The table of sources: who was asked, and how it went.

import { write } from "./freshness.js";

/** Each line names the figures it stands for; the worst of them is its state. */
export function paintSources(summary) {
  const fields = summary.fields ?? {};
  for (const line of document.querySelectorAll("[data-source]")) {
    const states = line.dataset.source.split(" ").map((name) => fields[name]?.status ?? "missing");
    const state = ["missing", "stale"].find((bad) => states.includes(bad)) ?? "fresh";
    line.dataset.status = state;
    write(line.querySelector("[data-state]"), state);
  }
}
