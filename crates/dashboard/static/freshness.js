// How old each figure is, and why it is not newer. Separate from the link: a live
// link may carry old figures, and says so.

import { age } from "./format.js";

// Server time minus this machine's time, learnt from the messages: a wrong clock
// here must not make figures look old.
let clockGapMs = 0;

export function learnClock(timestamp) {
  const server = Date.parse(timestamp);
  if (Number.isFinite(server)) clockGapMs = server - Date.now();
}

// One list of words for both sides: the server wrote it into the page.
const REASONS = JSON.parse(document.body.dataset.reasons);
const reason = (code) => REASONS[code] ?? code;

const ageOf = (moment) => Date.now() + clockGapMs - Date.parse(moment);

const BADNESS = { fresh: 0, stale: 1, missing: 2 };

/** Of figures that stand together: the worst, or else the oldest; `Mark::of_pair` does the same. */
function worst(fields) {
  return fields.reduce((worst, field) => {
    const worse = BADNESS[field.status] - BADNESS[worst.status];
    const isOlder = Date.parse(field.observed_at) < Date.parse(worst.observed_at);
    return worse > 0 || (worse === 0 && isOlder) ? field : worst;
  });
}

/** Takes over status, moment and reason of every marked figure. */
export function paintMarks(summary) {
  const fieldsOf = (names) =>
    names.split(" ").map((name) => summary.fields?.[name] ?? { status: "missing" });
  for (const mark of document.querySelectorAll("[data-mark]")) {
    const field = worst(fieldsOf(mark.dataset.mark));
    mark.dataset.status = field.status;
    mark.dataset.moment = field.observed_at ?? "";
    mark.title = titleOf(field);
  }
  for (const line of document.querySelectorAll("[data-why]")) {
    const failed = fieldsOf(line.dataset.why).find((field) => field.error);
    line.textContent = failed ? sayWhy(failed) : "";
    line.hidden = !failed;
  }
  const whole = document.querySelector("[data-updated]");
  whole.dataset.updated = summary.last_updated ?? "";
  tick();
}

const sayWhy = ({ source, error }) => `${source}: ${reason(error)}`;

function titleOf(field) {
  const parts = [field.source && `Source: ${field.source}`];
  if (field.observed_at) parts.push(`as of ${new Date(field.observed_at).toLocaleString()}`);
  if (field.error) parts.push(reason(field.error));
  return parts.filter(Boolean).join(" · ");
}

/** Rewrites the ages; called once a second. */
export function tick() {
  for (const mark of document.querySelectorAll("[data-mark]")) {
    const { status, moment } = mark.dataset;
    const old = moment ? age(ageOf(moment)) : "";
    const text = status === "fresh" ? `${old} ago` : status === "stale" ? `stale ${old}` : "missing";
    write(mark, text);
  }
  const whole = document.querySelector("[data-updated]");
  if (whole.dataset.updated) write(whole, `${age(ageOf(whole.dataset.updated))} ago`);
}

/** Writes only what changed, so that nothing is announced or laid out for nothing. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
