// A row of toggle buttons for faces; tabs/face_strip.py says what its value holds.
//
// It adds { taps }, how often a visitor has picked, and triggers "input" when that was. An answer with
// the same faces, asked for before the last tap, does not undo it.

let mine = null; // the value after the last tap, of the photo or video that is here

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-face], [data-pick]");
  if (!button) return;
  const value = props.value;
  const { face, pick } = button.dataset;
  let picked = pick === "all" ? [...value.numbers] : [];
  let { who, isMapped } = value;
  if (face !== undefined && value.people?.length > 1) {
    const place = value.numbers.indexOf(Number(face));
    picked = value.picked.filter((number) => number !== Number(face));
    const ids = value.people.map((one) => one.id);
    const next = picked.length === value.picked.length ? 0 : ids.indexOf(who[place]) + 1;
    if (next < ids.length) picked.push(Number(face));
    who = who.with(place, ids[next % ids.length]);
    isMapped = true;
  } else if (face !== undefined) {
    picked = value.picked.filter((number) => number !== Number(face));
    if (picked.length === value.picked.length) picked.push(Number(face));
    if (props.words.single) picked = [Number(face)];
  }
  mine = { ...value, picked, who, isMapped, taps: (value.taps ?? 0) + 1 };
  props.value = mine;
  trigger("input");
  // The template is drawn anew after each change, so the pressed button gets its focus back.
  const again = face === undefined ? `[data-pick="${pick}"]` : `[data-face="${face}"]`;
  requestAnimationFrame(() => element.querySelector(again)?.focus());
});
watch("value", update);

// The tray of people holds what is said of a source's face.
function update() {
  const { of, taps = 0, faces, numbers, who } = props.value;
  if (of !== mine?.of || props.words.single) mine = null;
  if (!mine || taps >= mine.taps || mine.faces.some((face, place) => face !== faces[place])) return;
  const more = numbers.slice(mine.numbers.length);
  const hasAll = mine.picked.length === mine.numbers.length;
  mine = {
    ...props.value,
    picked: hasAll ? numbers : mine.picked,
    who: mine.who && [...mine.who, ...more.map((number) => who?.[numbers.indexOf(number)] ?? null)],
    isMapped: mine.isMapped,
    taps: mine.taps,
  };
  props.value = mine;
  trigger("input");
}
