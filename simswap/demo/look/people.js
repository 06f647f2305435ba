// The people that a visitor puts in. One of them is open: the gallery shows their photos.
//
// props.value: { people: [{ id, photos, face, picture }], open }: photos as the gallery has them,
// the number of the face that is meant in a single photo (or null), a small picture of it, and the
// place of the open person. It triggers "choose" when the gallery is to show other photos, "people"
// when whoever can be put in has changed, and "chosen" when the open one has.
//
// It hears of other photos of the open person, document.dispatchEvent(new CustomEvent(
// "simswap-photos", { detail: the gallery's photos })), and of the face that is meant in a photo,
// "simswap-meant" with the strip of that photo's faces.

const paths = (one) => one.photos.map((photo) => photo.image.path);
const known = (one) => one && [one.id, paths(one), one.face];
let told = {};

element.addEventListener("click", (event) => {
  const { person, do: what } = event.target.closest("button")?.dataset ?? {};
  const { people, open } = props.value;
  if (person !== undefined) choose(people, Number(person));
  if (what === "add") {
    const id = 1 + Math.max(...people.map((one) => one.id));
    choose([...people, { id: id, photos: [], face: null, picture: null }], people.length);
  }
  if (what === "remove") choose(people.toSpliced(open, 1), Math.max(open - 1, 0));
});

document.addEventListener("simswap-photos", ({ detail: photos }) => {
  const { people, open } = props.value;
  const { id, ...before } = people[open];
  if (paths({ photos }).join() === paths(before).join()) return;
  change(people.with(open, { id: id, photos: photos, face: null, picture: null }), open);
});

document.addEventListener("simswap-meant", ({ detail: strip }) => {
  const [face] = strip.picked;
  const picture = strip.faces[strip.numbers.indexOf(face)];
  const meant = { picture: picture, face: strip.numbers.length > 1 ? face : null };
  const { people, open } = props.value;
  const isOf = (one) => strip.of && paths(one)[0] === strip.of;
  change(people.map((one) => (isOf(one) ? { ...one, ...meant } : one)), open);
});

// The template is drawn anew, so the focus goes back into it.
function choose(people, open) {
  change(people, open);
  trigger("choose");
  requestAnimationFrame(() => element.querySelector(`[data-person="${open}"]`)?.focus());
}

// What changes the value here is not told to those who watch it.
function change(people, open) {
  props.value = { people: people, open: open };
  tell();
}

watch("value", tell);
told = news();

function news() {
  const { people, open } = props.value;
  const present = people.filter((one) => one.photos.length);
  const chosen = people[open].photos.length ? people[open] : present[0];
  return {
    people: JSON.stringify(present.map(known)),
    chosen: JSON.stringify(known(chosen)),
  };
}

function tell() {
  const [before, now] = [told, news()];
  told = now;
  for (const name of Object.keys(now)) if (now[name] !== before[name]) trigger(name);
}
