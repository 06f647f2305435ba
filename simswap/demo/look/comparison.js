// A picture before and after: it opens with the whole result; the slider or holding shows the
// original. Where photos swap again by themselves, it also says when to.
//
// props.value, from the server: { before, after, faces, version, missing }: paths of pictures (after
// is null for a picture as it is), boxes of faces as shares of width and height, the version of the
// change that it answers, and the id of an input that was missing. From the page's own scripts:
// { version, ready, isAsked } when an input has changed, kept beside what is shown.
// It triggers "again" when the photo is to be swapped.

const DEBOUNCE = 500; // ms
const SLOW = 5000; // ms, after which a visitor is told that it takes longer
const ZOOM_SIDE = 240; // px of a face's picture
const ZOOM_MARGIN = 0.35; // of the face's longer side, on each side of it
const MOST_FACES = 12;

const part = (name) => element.querySelector(name);
const stage = part(".compare-stage");
const before = part(".compare-before");
const after = part(".compare-after");
const slider = part("input");
const hold = part('[data-do="hold"]');
const root = part(".compare");

let latest = null; // version of the newest change
let isArmed = false; // the visitor has asked for a swap, so that later changes swap by themselves
let isAsked = false; // a click asked for a swap, and none has come of it yet
let timers = [];

function address(path) {
  const own = new URL(window.gradio_config?.root || "/", location.href).pathname;
  const names = path.split("/").map(encodeURIComponent).join("/");
  return `${own.replace(/\/$/, "")}/gradio_api/file=${names}`;
}

function split(percent) {
  stage.style.setProperty("--split", `${percent}%`);
  stage.classList.toggle("shows-before", percent > 0);
  stage.classList.toggle("shows-after", percent < 100);
  slider.setAttribute("aria-valuetext", `${percent} % of the original`);
}

function holding(is) {
  hold.setAttribute("aria-pressed", String(is));
  split(is ? 100 : Number(slider.value));
}

slider.addEventListener("input", () => split(Number(slider.value)));
hold.addEventListener("pointerdown", () => holding(true));
for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
  hold.addEventListener(name, () => holding(false));
}
hold.addEventListener("contextmenu", (event) => event.preventDefault());
for (const [name, is] of [["keydown", true], ["keyup", false]]) {
  hold.addEventListener(name, (event) => {
    if (event.key === " " || event.key === "Enter") holding(is);
  });
}
part('[data-do="full"]').addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else root.requestFullscreen?.();
});

watch("value", update);
update();

function update() {
  const value = props.value || {};
  const isChange = "ready" in value;
  if (isChange && value.version !== latest) changed(value);
  else if (!isChange) answered(value);
}

function changed(value) {
  latest = value.version;
  stop();
  const atOnce = Boolean(value.isAsked) || (isAsked && root.classList.contains("busy"));
  isAsked = isAsked || atOnce;
  isArmed = isArmed || isAsked;
  wanted(null);
  const goesOn = atOnce || (isArmed && value.ready);
  const isOld = root.classList.contains("filled");
  const next = value.ready ? "Swap to see what has changed." : "Add the missing photo to swap again.";
  state(goesOn ? "Swapping…" : isOld ? next : "", goesOn);
  if (!goesOn) return;
  askIn(atOnce ? 0 : DEBOUNCE);
}

function askIn(delay) {
  timers.push(setTimeout(() => trigger("again"), delay));
  timers.push(setTimeout(() => state("Still at work. Others may be before you.", true), SLOW));
}

function answered(value) {
  if ("version" in value && latest !== null && value.version !== latest) {
    // It answers older inputs, and may have taken the change's place before Gradio sent that.
    if (!root.classList.contains("busy")) return;
    stop();
    props.value = { version: latest, ready: true };
    askIn(DEBOUNCE);
    return;
  }
  stop();
  if (value.missing !== undefined) {
    state("", false);
    root.classList.add("stale");
    if (isAsked) wanted(value.missing);
    return;
  }
  root.classList.remove("stale");
  state("", false);
  show(value);
}

function stop() {
  timers.forEach(clearTimeout);
  timers = [];
}

function state(text, isBusy) {
  root.classList.toggle("busy", isBusy);
  root.setAttribute("aria-busy", String(isBusy));
  if (text) root.classList.add("stale");
  part(".compare-state").textContent = text;
}

function wanted(id) {
  document.dispatchEvent(new CustomEvent("simswap-wanted", { detail: id }));
}

async function show(value) {
  root.classList.toggle("filled", Boolean(value.before));
  root.classList.toggle("compared", Boolean(value.after));
  part(".compare-faces").replaceChildren();
  if (!value.before) {
    before.removeAttribute("src");
    after.removeAttribute("src");
    return;
  }
  before.src = address(value.before);
  after.src = address(value.after || value.before);
  slider.value = value.after ? 0 : 100;
  split(Number(slider.value));
  if (isAsked && stage.getBoundingClientRect().top > innerHeight / 2) {
    root.scrollIntoView({ block: "start" });
  }
  isAsked = false;
  const faces = value.after ? (value.faces || []).slice(0, MOST_FACES) : [];
  try {
    await Promise.all([before.decode(), after.decode()]);
  } catch {
    return; // a kind of picture that this browser does not show, or replaced meanwhile
  }
  if (props.value !== value && props.value?.after !== value.after) return;
  part(".compare-faces").replaceChildren(...faces.map(zoomed));
  if (value.after && "version" in value) {
    const detail = { url: after.src, kind: "photo" };
    document.dispatchEvent(new CustomEvent("simswap-result", { detail }));
  }
}

function zoomed(box, number) {
  const figure = document.createElement("figure");
  for (const [picture, word] of [[before, "Before"], [after, "After"]]) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = ZOOM_SIDE;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Face ${number + 1}, ${word.toLowerCase()}`);
    const [width, height] = [picture.naturalWidth, picture.naturalHeight];
    const [x0, y0, x1, y1] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
    const wish = (1 + 2 * ZOOM_MARGIN) * Math.max(x1 - x0, y1 - y0);
    const side = Math.min(wish, width, height);
    const within = (middle, length) => Math.min(Math.max(middle - side / 2, 0), length - side);
    const [left, top] = [within((x0 + x1) / 2, width), within((y0 + y1) / 2, height)];
    canvas.getContext("2d").drawImage(picture, left, top, side, side, 0, 0, ZOOM_SIDE, ZOOM_SIDE);
    const caption = document.createElement("figcaption");
    caption.textContent = word;
    const half = document.createElement("div");
    half.append(canvas, caption);
    figure.append(half);
  }
  return figure;
}
