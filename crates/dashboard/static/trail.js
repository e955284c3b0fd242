// The way each price has gone since this page was opened.

const LONGEST = 90;
const WIDTH = 120;
const HEIGHT = 28;

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
  const span = Math.max(...points) - low;
  const step = WIDTH / (points.length - 1);
  return points
    .map((value, at) => {
      const height = span === 0 ? 0.5 : (value - low) / span;
      return `${(at * step).toFixed(1)},${(HEIGHT - 3 - height * (HEIGHT - 6)).toFixed(1)}`;
    })
    .join(" ");
}
