// The results of a visit, newest first, kept as the files that they are in the page's own memory.
//
// Who shows a result tells of it: document.dispatchEvent(new CustomEvent("simswap-result",
// { detail: { url, kind } })), kind being "photo", "video" or "animation".

const MOST = 12; // results, of which the oldest go
const MOST_BYTES = 200e6; // of all together

const section = element.querySelector(".history");
const list = element.querySelector("ul");
let results = []; // { url, bytes, entry }, newest first
let count = 0;
let latest = Promise.resolve();

document.addEventListener("simswap-result", ({ detail }) => {
  latest = latest.then(() => keep(detail)).catch(() => {}); // one that is not there any more
});
element.querySelector("button").addEventListener("click", () => forget(0));

async function keep({ url, kind }) {
  const answer = await fetch(url);
  if (!answer.ok) return;
  const blob = await answer.blob();
  const kept = { url: URL.createObjectURL(blob), bytes: blob.size, entry: entry(kind) };
  const link = kept.entry.querySelector("a");
  const suffix = new URL(url, location.href).pathname.split(".").pop();
  link.href = kept.url;
  link.download = `simswap-${count}.${suffix}`;
  // Without a time, a phone shows nothing of a video before it is played.
  link.firstChild.src = kind === "video" ? `${kept.url}#t=0.01` : kept.url;
  list.prepend(kept.entry);
  results.unshift(kept);
  let total = 0;
  const fits = results.findIndex((one) => (total += one.bytes) > MOST_BYTES);
  forget(Math.min(MOST, fits < 0 ? MOST : Math.max(fits, 1)));
}

function entry(kind) {
  count += 1;
  const item = document.createElement("li");
  const link = document.createElement("a");
  const picture = document.createElement(kind === "video" ? "video" : "img");
  if (kind === "video") picture.muted = true;
  else picture.alt = "";
  link.setAttribute("aria-label", `Save result ${count}: ${kind}`);
  link.append(picture);
  item.append(link);
  return item;
}

// Those after the newest `number`.
function forget(number) {
  for (const { url, entry } of results.splice(number)) {
    entry.remove();
    URL.revokeObjectURL(url);
  }
  section.hidden = !results.length;
}
