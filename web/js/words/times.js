/** Times and durations in the words that people read. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LONG_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SPANS = [[86400, "day", "days"], [3600, "hour", "hours"], [60, "minute", "minutes"], [1, "second", "seconds"]];
const DAY = 86400000;

/** "14:02" */
export function clock(date) {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

/** "14:02" today, else "yesterday", "3 Mar", "3 Mar 2025". */
export function shortTime(date, now = new Date()) {
  const age = daysBetween(date, now);
  if (age === 0) return clock(date);
  if (age === 1) return "yesterday";
  return dayOfYear(date, now);
}

/** As `shortTime`, with the clock on other days too: "yesterday 14:02". */
export function dayAndTime(date, now = new Date()) {
  const day = shortTime(date, now);
  return daysBetween(date, now) === 0 ? day : `${day} ${clock(date)}`;
}

/** "14:02:09" today, else "3 Mar 14:02:09". */
export function exactTime(date, now = new Date()) {
  const time = `${clock(date)}:${pad(date.getSeconds())}`;
  return daysBetween(date, now) === 0 ? time : `${dayOfYear(date, now)} ${time}`;
}

/** "3 Mar" of "2026-03-03", a day without a time. */
export function dayName(day) {
  const [, month, date] = day.split("-").map(Number);
  return `${date} ${MONTHS[month - 1]}`;
}

/** "3 days", "1 hour": a span in its largest unit. */
export function roughly(seconds) {
  const [size, one, many] = SPANS.find(([unit]) => seconds >= unit) ?? SPANS.at(-1);
  const count = Math.floor(seconds / size);
  return count === 1 ? `1 ${one}` : `${count} ${many}`;
}

/** "Tuesday 3 March 2026" */
export function longDay(date) {
  return `${DAYS[date.getDay()]} ${date.getDate()} ${LONG_MONTHS[date.getMonth()]} ${date.getFullYear()}`;
}

/** "Tuesday 3 Mar 2026, 14:02:09", for a tooltip. */
export function fullTime(date) {
  const day = `${DAYS[date.getDay()]} ${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
  return `${day}, ${clock(date)}:${pad(date.getSeconds())}`;
}

/** "40 ms", "2.1 s", "1 min 12 s", "2 h 5 min" */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function dayOfYear(date, now) {
  const day = `${date.getDate()} ${MONTHS[date.getMonth()]}`;
  return date.getFullYear() === now.getFullYear() ? day : `${day} ${date.getFullYear()}`;
}

// Calendar days apart; rounded, because a day in spring has 23 hours.
function daysBetween(date, now) {
  const start = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
  return Math.round((start(now) - start(date)) / DAY);
}

function pad(number) {
  return String(number).padStart(2, "0");
}
