// The link to the server: a WebSocket that never gives up, and plain requests
// while it is away. It knows nothing of what the messages mean.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20_000;
// The server sends at least every refresh interval; a link that stays silent this
// long after being asked is dead, whatever the socket says (sleeping laptops).
const PROBE_EVERY_MS = 20_000;
const PROBE_ANSWER_MS = 8_000;
const POLL_EVERY_MS = 15_000;

export class Link extends EventTarget {
  #socketUrl;
  #pollUrl;
  #socket = null;
  #failures = 0;
  #retry = 0;
  #probe = 0;
  #verdict = 0;
  #poll = 0;
  state = "connecting";

  constructor(socketUrl, pollUrl) {
    super();
    this.#socketUrl = socketUrl;
    this.#pollUrl = pollUrl;
    addEventListener("online", () => this.#hurry());
    addEventListener("offline", () => this.#lost());
    addEventListener("pageshow", (event) => event.persisted && this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  open() {
    clearTimeout(this.#retry);
    this.#close();
    const socket = new WebSocket(this.#socketUrl);
    this.#socket = socket;
    // A connect that neither opens nor fails is given up like a silent link.
    this.#verdict = setTimeout(() => this.#lost(), PROBE_ANSWER_MS);
    socket.onopen = () => {
      clearTimeout(this.#verdict);
      clearInterval(this.#poll);
      this.#poll = 0;
      this.#failures = 0;
      this.#probe = setInterval(() => this.#ask(), PROBE_EVERY_MS);
      this.#become("live");
    };
    socket.onmessage = (event) => {
      clearTimeout(this.#verdict);
      this.#hear(event.data);
    };
    socket.onclose = () => socket === this.#socket && this.#lost();
  }

  #hear(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // Not ours to judge: the next message is whole again.
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #ask() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send('{"type":"ping"}');
    clearTimeout(this.#verdict);
    this.#verdict = setTimeout(() => this.#lost(), PROBE_ANSWER_MS);
  }

  /** Back from sleep or from being offline: find out now, not at the next turn. */
  #hurry() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ask();
    else if (this.#socket?.readyState !== WebSocket.CONNECTING) this.open();
  }

  #lost() {
    this.#close();
    const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    // Full jitter, so that a restarted server is not met by every page at once.
    const wait = 100 + Math.random() * ceiling;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.open(), wait);
    this.#become(navigator.onLine === false ? "offline" : "reconnecting");
    // One poll for as long as the link is away: failed attempts come faster than it, and
    // would put it off for ever if each armed it anew.
    if (!this.#poll) this.#poll = setInterval(() => this.#pollOnce(), POLL_EVERY_MS);
  }

  async #pollOnce() {
    try {
      const answer = await fetch(this.#pollUrl, { signal: AbortSignal.timeout(PROBE_ANSWER_MS) });
      if (!answer.ok) return;
      const detail = { type: "poll", data: await answer.json() };
      // A link that came back meanwhile has brought a newer snapshot.
      if (this.state === "live") return;
      this.dispatchEvent(new CustomEvent("message", { detail }));
    } catch {
      // The state already says that there is no link.
    }
  }

  #close() {
    clearInterval(this.#probe);
    clearTimeout(this.#verdict);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
