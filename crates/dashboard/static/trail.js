// The way each price has gone since this page was opened.

const LONGEST = 90;
const WIDTH = 120;
const HEIGHT = 28;
// A line grows from the left until it has this many points: two of them are no slope yet.
const FEWEST = 24;
// Moves below a thousandth stay small on the line, or noise would look like news.
const LEAST_SPAN = 0.001;

const trails = new Map();

export function extendTrail(name, value) {
  if (typeof value !== "number") return;
  const points = trails.get(name) ?? [];
  points.push(value);
  if (points.length > LONGEST) points.shift();
  trails.set(name, points);
}

export function paintTrails() {
  for (const svg of document.querySelectorAll("[data-trail]")) {
    const points = trails.get(svg.dataset.trail) ?? [];
    if (points.length < 2) continue;
    svg.querySelector("polyline").setAttribute("points", line(points));
    const last = points.at(-1);
    const first = points[0];
    svg.dataset.way = last > first ? "up" : last < first ? "down" : "flat";
  }
}

function line(points) {
  const low = Math.min(...points);
  const high = Math.max(...points);
  const middle = (low + high) / 2;
  const span = Math.max(high - low, middle * LEAST_SPAN);
  const step = WIDTH / Math.max(points.length - 1, FEWEST);
  return points
    .map((value, at) => {
      const height = HEIGHT / 2 - ((value - middle) / span) * (HEIGHT - 6);
      return `${(at * step).toFixed(1)},${height.toFixed(1)}`;
    })
    .join(" ");
}
