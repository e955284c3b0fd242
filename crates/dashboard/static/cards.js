// Writes a summary into the page that the server rendered.

import * as format from "./format.js";
import { write } from "./freshness.js";
import { paintGauge } from "./gauge.js";

const FORMS = {
  price: format.price,
  compact: format.compact,
  change: format.percent,
  share: format.share,
  index: format.index,
  decimal: format.oneDecimal,
  text: (value) => value ?? "No reading",
  rsi: format.rsiWord,
};

const shown = new Map();

/** Paints every figure; tints those that moved, unless `isFirst`. */
export function paintFigures(summary, isFirst) {
  for (const element of document.querySelectorAll("[data-field]")) {
    const { field, form } = element.dataset;
    const value = summary[field] ?? null;
    if (form === "change") paintChange(element, value);
    else write(element, FORMS[form](value));
    if (form === "price") tint(element, field, value, isFirst);
  }
  paintDominance(summary);
  paintQuotes(summary.fields ?? {});
  const { fng_value: fng, fng_classification: word, btc_rsi_14: rsi } = summary;
  paintGauge(
    document.getElementById("fng"),
    fng,
    `Fear and Greed Index: ${format.index(fng)}, ${word ?? "not known"}`,
  );
  paintGauge(
    document.getElementById("rsi"),
    rsi,
    `Bitcoin RSI 14: ${format.oneDecimal(rsi)}, ${format.rsiWord(rsi)}`,
  );
}

function paintChange(element, value) {
  const way = format.direction(value);
  element.dataset.way = way;
  const [arrow, text] = element.children;
  write(arrow, format.ARROWS[way]);
  write(text, format.percent(value));
}

function tint(element, field, value, isFirst) {
  const before = shown.get(field);
  shown.set(field, value);
  if (isFirst || typeof before !== "number" || typeof value !== "number" || before === value) return;
  element.classList.remove("went-up", "went-down");
  void element.offsetWidth; // Restarts the animation; without a reflow the class change is not seen.
  element.classList.add(value > before ? "went-up" : "went-down");
}

function paintDominance({ btc_market_cap_percentage: btc, eth_market_cap_percentage: eth }) {
  const bar = document.getElementById("dominance");
  const width = (value) => (typeof value === "number" ? value : 0);
  bar.querySelector(".dominance-btc").setAttribute("width", width(btc));
  bar.querySelector(".dominance-eth").setAttribute("x", width(btc));
  bar.querySelector(".dominance-eth").setAttribute("width", width(eth));
}

/** Prices of a source that stands in may be in another currency. */
function paintQuotes(fields) {
  const of = ([name, field]) => (name.endsWith("_price_usd") ? field.quote : undefined);
  const quotes = new Set(Object.entries(fields).map(of).filter(Boolean));
  if (quotes.size > 0) write(document.getElementById("quotes"), [...quotes].join(" and "));
}

/** One sentence for those who listen instead of looking. */
export function sentence(summary) {
  const { btc_price_usd: price, btc_change_24h: change } = summary;
  const quote = summary.fields?.btc_price_usd?.quote ?? "";
  return `Bitcoin ${format.price(price)} ${quote}, ${format.percent(change)} in 24 hours`;
}
