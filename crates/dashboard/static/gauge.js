// The two half-round gauges. The server draws them; here only the marker moves.

/** `value` is 0 to 100, or null for a gauge without a marker. */
export function paintGauge(gauge, value, words) {
  const marker = gauge.querySelector(".gauge-marker");
  const known = typeof value === "number";
  marker.setAttribute("visibility", known ? "visible" : "hidden");
  if (known) marker.setAttribute("transform", `rotate(${(value * 1.8).toFixed(1)} 100 100)`);
  gauge.querySelector("svg").setAttribute("aria-label", words);
}
