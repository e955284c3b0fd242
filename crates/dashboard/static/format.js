// Numbers as people read them. src/http/numbers.rs writes the same forms into the
// first page: a change here is a change there.

const NBSP = "\u00a0";
const MINUS = "\u2212";
export const NOTHING = "\u2013";

const UNITS = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
];

const grouped = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * Without a sign: prices are in USDT as a rule, which is not the dollar. Below one, four
 * significant digits: two decimals would show 0.00.
 */
export function price(value) {
  if (!isNumber(value)) return NOTHING;
  if (value >= 10) return grouped(value, 2);
  if (value >= 1) return grouped(value, 4);
  if (value <= 0) return grouped(value, 2);
  const digits = Math.min(12, 3 - Math.floor(Math.log10(value)));
  return value.toFixed(digits);
}

/** US dollars, in three or four digits and a unit: $3.33 T. */
export function compact(value) {
  if (!isNumber(value)) return NOTHING;
  const [size, unit] = UNITS.find(([least]) => Math.abs(value) >= least * 0.9995) ?? [1, ""];
  const scaled = value / size;
  const digits = Math.abs(scaled) >= 99.95 ? 1 : 2;
  return `$${grouped(scaled, digits)}${unit && NBSP + unit}`;
}

/** Always with its sign; the sign of a zero is dropped. */
export function percent(value) {
  if (!isNumber(value)) return NOTHING;
  const text = grouped(Math.abs(value), 2);
  const sign = text === "0.00" ? "" : value < 0 ? MINUS : "+";
  return `${sign}${text}${NBSP}%`;
}

export function share(value) {
  return isNumber(value) ? `${grouped(value, 1)}${NBSP}%` : NOTHING;
}

export function index(value) {
  return isNumber(value) ? grouped(value, 0) : NOTHING;
}

export function oneDecimal(value) {
  return isNumber(value) ? grouped(value, 1) : NOTHING;
}

/** "up", "down" or "flat", as the shown text has it. */
export function direction(value) {
  if (!isNumber(value) || Math.abs(value) < 0.005) return "flat";
  return value < 0 ? "down" : "up";
}

export const ARROWS = { up: "\u25b2", down: "\u25bc", flat: "" };

/** An age in the largest unit that still says something: 4 s, 12 min, 16 h, 3 d. */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}${NBSP}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${NBSP}min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}${NBSP}h`;
  return `${Math.floor(seconds / 86400)}${NBSP}d`;
}

/** What an RSI means in words: the usual borders 30 and 70. */
export function rsiWord(value) {
  if (!isNumber(value)) return "No reading";
  if (value >= 70) return "Overbought";
  if (value <= 30) return "Oversold";
  return "Neutral";
}
