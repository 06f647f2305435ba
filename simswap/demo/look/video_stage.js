// The swapped video, while it is made and afterwards, in place of the preview.
//
// props.value: {} before, { line, done, total, picture } at work, { film, is_picture, said } at its end.

const kind = () => ["film", "picture", "line"].find((name) => props.value?.[name]) ?? "";
const column = document.getElementById("video-stage-column");
let before = "";
let film = null; // the last one, of which others were told

element.addEventListener("click", (event) => {
  if (event.target.closest("button")) column.classList.toggle("previews");
});
watch("value", show);
show();

function show() {
  const now = kind();
  if (now === "line" && before === "picture") return; // one step that brings none
  if (now && now !== before) {
    column.classList.remove("previews");
    requestAnimationFrame(() => {
      document.getElementById("video-cancel")?.scrollIntoView({ block: "nearest" });
      element.scrollIntoView({ block: "nearest" });
    });
  }
  if (now === "film" && props.value.film.url !== film) {
    film = props.value.film.url;
    const detail = { url: film, kind: props.value.is_picture ? "animation" : "video" };
    document.dispatchEvent(new CustomEvent("simswap-result", { detail }));
  }
  before = now;
}
