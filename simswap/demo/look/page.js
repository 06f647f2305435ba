// What the page does with files before Gradio has them, and with what Gradio labels badly. And it
// points out an input that is missing: document.dispatchEvent(new CustomEvent("simswap-wanted",
// { detail })), detail being its id, or null for none.
//
// Gradio's sentences about files speak code, and take a file's name for HTML. So files that no zone
// takes are told here, and names go on without markup. A pasted photo goes where one is missing.
(mostBytes) => {
  const ZONES = {
    source: [/^image\//, "a photo", "Choose a photo; videos go into the Video tab."],
    target: [/^image\//, "a photo", "Choose a photo; videos go into the Video tab."],
    "video-target": [
      /^video\/|^image\/(gif|webp|a?png)$/,
      "a video",
      "Choose a video; photos go into the Image tab.",
    ],
    "verify-file": [/^(image|video)\//, "a photo or a video", "Choose another file."],
  };
  // Of kinds that some systems have no name for.
  const TYPES = {
    ...{ heic: "image/heic", heif: "image/heif", avif: "image/avif", apng: "image/apng" },
    ...{ mkv: "video/matroska", avi: "video/x-msvideo" },
  };

  // Gradio labels what is empty without saying what it is, so that screen readers skip the label.
  const mend = () =>
    document
      .querySelectorAll('[aria-label="Empty value"]:not([role])')
      .forEach((empty) => empty.setAttribute("role", "img"));
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  mend();

  const unwanted = (one) => one.classList.remove("wanted");
  document.addEventListener("simswap-wanted", ({ detail }) => {
    document.querySelectorAll(".wanted").forEach(unwanted);
    const input = detail && document.getElementById(detail);
    if (!input) return;
    input.classList.add("wanted");
    input.scrollIntoView({ block: "nearest" });
  });
  addEventListener("change", ({ target }) => unwanted(target.closest(".wanted") ?? target));

  const zones = Object.keys(ZONES).map((id) => `#${id}`).join();
  const inputOf = (zone) => zone?.querySelector("input[type=file]");
  const typeOf = (file) => file.type || TYPES[file.name.toLowerCase().split(".").pop()] || "";
  const forget = () => document.querySelectorAll(".refused").forEach((told) => told.remove());
  const megabytes = (bytes) => Math.ceil(bytes / 1e5) / 10;

  function fault(file, zone) {
    const [types, kind, remedy] = ZONES[zone.id];
    if (!types.test(typeOf(file))) return `${file.name} is not ${kind}. ${remedy}`;
    const size = megabytes(file.size);
    return file.size > mostBytes
      ? `${file.name} has ${size} MB, and ${megabytes(mostBytes)} MB is the most. Make it smaller.`
      : "";
  }

  // Of what is given to a zone, what goes on, by `pass`; the event stays as it is where all does.
  function sift(event, given, zone, pass) {
    forget();
    if (!zone) return;
    const faults = given.map((file) => fault(file, zone));
    const names = given.map((file) => file.name.replace(/[<>&]/g, "_"));
    if (given.every(({ name, type }, i) => !faults[i] && names[i] === name && type)) return;
    const kept = new DataTransfer();
    given.forEach((file, i) => {
      const facts = { type: typeOf(file), lastModified: file.lastModified };
      if (!faults[i]) kept.items.add(new File([file], names[i], facts));
    });
    event.stopImmediatePropagation();
    event.preventDefault();
    pass(kept);
    tell(faults.filter(Boolean), zone);
  }

  function tell(sentences, zone) {
    if (!sentences.length) return;
    const told = document.createElement("div");
    told.className = "message refused";
    told.setAttribute("role", "alert");
    for (const text of sentences) {
      told.append(Object.assign(document.createElement("p"), { textContent: text }));
    }
    zone.after(told);
  }

  function give(files, input) {
    input.files = files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  addEventListener("click", ({ target }) => target.closest("button") && forget(), true);
  addEventListener(
    "change",
    (event) => {
      const { target } = event;
      if (target.type !== "file") return;
      sift(event, [...target.files], target.closest(zones), ({ files }) => {
        if (files.length) give(files, target);
        else target.value = "";
      });
    },
    true,
  );
  addEventListener(
    "drop",
    (event) => {
      const { target, dataTransfer } = event;
      sift(event, [...(dataTransfer?.files ?? [])], target.closest?.(zones), (kept) => {
        const how = { bubbles: true, cancelable: true, dataTransfer: kept };
        if (kept.files.length) target.dispatchEvent(new DragEvent("drop", how));
      });
    },
    true,
  );
  // What no drop zone takes would be opened in place of the page; source photos take another one.
  for (const name of ["dragover", "drop"]) {
    addEventListener(name, (event) => {
      const { target, dataTransfer } = event;
      if (event.defaultPrevented || !dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      const input = inputOf(target.closest?.("#source"));
      if (name === "drop" && input) give(dataTransfer.files, input);
    });
  }
  addEventListener("paste", ({ clipboardData }) => {
    const isEmpty = (zone) => zone.offsetParent && inputOf(zone) && !zone.querySelector("img");
    const zone =
      document.activeElement.closest(zones) ?? [...document.querySelectorAll(zones)].find(isEmpty);
    if (clipboardData.files.length && inputOf(zone)) give(clipboardData.files, inputOf(zone));
  });
}
