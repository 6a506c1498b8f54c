// Numbers and times as people read them.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** A count with separators. */
export function count(value) {
  return value === null || value === undefined ? "–" : plain.format(value);
}

/** A measured number, shortened where it is large: 12.4k, 3.1M, 9.007e+15. */
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e12) return value.toExponential(3);
  if (size >= 1e9) return `${fine.format(value / 1e9)}G`;
  if (size >= 1e6) return `${fine.format(value / 1e6)}M`;
  if (size >= 1e4) return `${fine.format(value / 1e3)}k`;
  return size >= 100 ? plain.format(value) : fine.format(value);
}

/** Octets in binary units. */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at ? fine.format(value) : plain.format(value)} ${units[at]}`;
}

/** Seconds as a duration: 250 ms, 12 s, 3 m 20 s, 5 h 2 m, 4 d. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${plain.format(Math.max(1, seconds * 1000))} ms`;
  if (seconds < 60) return `${fine.format(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`;
  return `${plain.format(Math.floor(whole / 86400))} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** A time as it is stored, in UTC to the second. */
export function time(text) {
  return text ? text.replace("T", " ").replace(/\.\d+/, "").replace("Z", "") : "–";
}

/** How long ago a time is. */
export function ago(text) {
  if (!text) return "never";
  const seconds = Math.max(0, (Date.now() - Date.parse(text)) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** A value of a row as text; NULL is told apart by its class, not by its text. */
export function value(item) {
  if (item === null || item === undefined) return "null";
  return typeof item === "object" ? JSON.stringify(item) : String(item);
}

export function plural(number, word, words = `${word}s`) {
  return `${count(number)} ${number === 1 ? word : words}`;
}
