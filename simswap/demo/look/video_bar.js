// One bar below a video's frame: which frame is shown, and from where to where is swapped.
//
// props.value, from the server: { of, frames, times, mostSeconds, mostFrames }, or {} for none: the
// video's path, how many frames it has, when some of them begin (evenly chosen, from the first to
// the end of the last), and how much is swapped at a time. This script adds { frame, start, end }:
// the frame's number, and seconds; end is null for the video's own. It triggers "look" when another
// frame is to be shown. An answer about the video that is here already, asked for before the handles
// were moved, leaves them where they are.

const PAUSE = 150; // ms without a move, after which a frame is asked for
const GRACE = 0.0005; // s, as the server has it: 0.0333 means the second frame of 30 per second

const part = (name) => element.querySelector(name);
const handles = { frame: part(".bar-frame"), start: part(".bar-start"), end: part(".bar-end") };
const [startField, endField] = element.querySelectorAll('input[type="number"]');
const fields = { start: startField, end: endField };

let at = { frame: 0, start: 0, end: 1 }; // numbers of frames; the part ends before `end`
let here = null; // the path of the video that they are of
let looking = 0;

for (const [name, handle] of Object.entries(handles)) {
  handle.addEventListener("input", () => move(name, Number(handle.value)));
}
for (const [name, field] of Object.entries(fields)) {
  field.addEventListener("input", () => typed(name, field)); // half a number stays as it is typed
  field.addEventListener("change", () => {
    typed(name, field);
    draw();
  });
}
watch("value", update);
update();

function update() {
  const { of = null, frames = 0, frame } = props.value ?? {};
  part(".bar").hidden = frames < 2;
  if (!frames) here = null;
  if (!frames || frame !== undefined) return; // nothing, or what was told from here
  if (of === here) {
    tell();
    if (at.frame) look();
    return;
  }
  here = of;
  for (const [name, handle] of Object.entries(handles)) {
    handle.max = name === "frame" ? frames - 1 : frames;
  }
  at = { frame: 0, start: 0, end: latestEnd(0) };
  draw();
  tell();
}

function typed(name, field) {
  const seconds = field.value === "" && name === "end" ? Infinity : field.valueAsNumber || 0;
  const number = name === "start" ? lastUntil(seconds + GRACE) : firstFrom(seconds - GRACE);
  move(name, number, field);
}

// Moves a handle as far as it may go, the other along if too much lies between, and shows the frame
// there. field: one that a visitor types in, which is left alone.
function move(name, number, field = null) {
  const { frames } = props.value;
  if (name === "start") {
    const start = Math.max(0, Math.min(number, at.end - 1));
    at = { frame: start, start, end: Math.min(at.end, latestEnd(start)) };
  } else if (name === "end") {
    const end = Math.max(at.start + 1, Math.min(number, frames));
    at = { frame: end - 1, start: Math.max(at.start, earliestStart(end)), end };
  } else {
    at = { ...at, frame: number };
  }
  draw(field);
  tell();
  look();
}

function look() {
  clearTimeout(looking);
  looking = setTimeout(() => trigger("look"), PAUSE);
}

function tell() {
  const end = at.end === props.value.frames ? null : rounded(begins(at.end));
  props.value = { ...props.value, frame: at.frame, start: rounded(begins(at.start)), end };
}

function draw(field = null) {
  const { frames } = props.value;
  for (const [name, handle] of Object.entries(handles)) {
    handle.value = at[name];
    handle.setAttribute("aria-valuetext", `${begins(at[name]).toFixed(2)} s`);
  }
  for (const [name, one] of Object.entries(fields)) {
    if (one !== field) one.value = rounded(begins(at[name]));
  }
  const track = part(".bar-track").style;
  track.setProperty("--start", at.start / frames);
  track.setProperty("--end", at.end / frames);
  part(".bar-said").textContent = said();
  const film = document.querySelector("#video-film video");
  if (film) film.currentTime = begins(at.frame);
}

function said() {
  const { frames, mostSeconds, mostFrames } = props.value;
  const [from, to, all] = [at.start, at.end, frames].map((number) => begins(number));
  const most =
    all > mostSeconds ? `${mostSeconds} s` : frames > mostFrames ? `${mostFrames} frames` : "";
  const limit = most && ` At most ${most} are swapped at a time.`;
  if (to - from === all) return `The whole video will be swapped, ${all.toFixed(2)} s.`;
  const number = at.end - at.start;
  const counted = number === 1 ? "1 frame" : `${number} frames`;
  const length = `${(to - from).toFixed(2)} of ${all.toFixed(2)} s`;
  return `${length} will be swapped, ${counted}: from ${from.toFixed(2)} to ${to.toFixed(2)} s.${limit}`;
}

// When a frame begins, in seconds; for `frames`, when the last one ends.
function begins(number) {
  const { frames, times } = props.value;
  const known = (place) => Math.floor((place * frames) / (times.length - 1));
  let place = Math.min(Math.floor((number * (times.length - 1)) / frames), times.length - 2);
  while (known(place + 1) < number) place += 1;
  const share = (number - known(place)) / (known(place + 1) - known(place));
  return times[place] + share * (times[place + 1] - times[place]);
}

// The last frame that has begun at some second.
function lastUntil(seconds) {
  let [low, high] = [0, props.value.frames];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (begins(middle) <= seconds) low = middle;
    else high = middle - 1;
  }
  return low;
}

function firstFrom(seconds) {
  const last = lastUntil(seconds);
  return begins(last) < seconds ? last + 1 : last;
}

function latestEnd(start) {
  const { mostSeconds, mostFrames } = props.value;
  return Math.max(
    start + 1,
    Math.min(start + mostFrames, lastUntil(begins(start) + mostSeconds + GRACE)),
  );
}

function earliestStart(end) {
  const { mostSeconds, mostFrames } = props.value;
  return Math.min(end - 1, Math.max(end - mostFrames, firstFrom(begins(end) - mostSeconds - GRACE)));
}

function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
