// Work that is repeated while somebody looks.

/**
 * Runs `work` now and again `milliseconds` after it has ended, until the signal aborts; not in a tab that is hidden,
 * and at once when it is seen again. `failed` gets what it throws, and null when it goes well again.
 */
export function repeat(work, milliseconds, signal, failed) {
  let timer = null;
  let isRunning = false;
  let isWanted = false;
  let hasFailed = false;

  async function run() {
    // Whoever asks meanwhile wants what is there now, not what was there when the work began.
    isWanted = isRunning;
    if (isRunning || signal.aborted || document.hidden) return;
    clearTimeout(timer);
    isRunning = true;
    let pause = milliseconds;
    try {
      await work();
      if (hasFailed) failed(null);
      hasFailed = false;
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      hasFailed = true;
      failed(error);
      pause = Math.max(milliseconds, 5000);
    } finally {
      isRunning = false;
    }
    if (!signal.aborted) timer = setTimeout(run, isWanted ? 0 : pause);
  }

  document.addEventListener("visibilitychange", run, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  run();
  return run;
}

/**
 * Runs `work` when server-sent events say that something has changed, at most every `milliseconds`; until the signal
 * aborts, and not in a tab that is hidden. The browser comes back by itself where the stream breaks off.
 */
export function follow(url, milliseconds, signal, work) {
  let source = null;
  let timer = null;
  let isWaiting = false;

  function changed() {
    isWaiting = timer !== null;
    if (isWaiting) return;
    work();
    timer = setTimeout(() => {
      timer = null;
      if (isWaiting) changed();
    }, milliseconds);
  }

  function open() {
    source?.close();
    source = document.hidden ? null : new EventSource(url);
    source?.addEventListener("message", changed);
    source?.addEventListener("reset", changed);
  }

  document.addEventListener("visibilitychange", open, { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    source?.close();
  });
  open();
}

/** The last readings of a figure, for a line beside it. */
export class History {
  constructor(most = 90) {
    this.most = most;
    this.values = [];
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > this.most) this.values.shift();
  }
}
