// The live view: the visitor's camera in, swapped frames out. As many frames are in flight as keep the
// server busy, and no more: what waits there would only be old when it comes back.
//
// props.value, as this script sends it: { token, number, frame } with a JPEG's data URI, by the
// event "stream", and { token } of the last session, if any, by "begin". As the server sends it:
// { token, socket } when a session was opened (socket is null where only "stream" can be had),
// { token, answers, frame, faces, swapped } for a frame, or { refused } with a sentence for the
// visitor (and { missing }, the id of an input). Whatever asks for something of a session shows its token.

const LONG_SIDE = 640; // px of a frame that is sent: more costs time and shows little
const QUALITY = 0.85; // of its JPEG
const OPENING = 8000; // ms in which a socket must take the first frame, or "stream" is used
const MOST_IN_FLIGHT = 4; // by socket, where the way there and back takes as long as three swaps
const SERVED_UNIT = 4; // ms, in which the server says how long a frame took it
const PATIENCE = 10000; // ms for one answer by "stream", whose run may have been at its end
const FIGURES_EVERY = 1000; // ms

const part = (name) => element.querySelector(name);
const video = part(".camera-source");
const shown = part(".camera-shown");
const message = part(".camera-message");
const button = (name) => part(`[data-do="${name}"]`);
const cameras = part(".camera-choice select");
const captured = document.createElement("canvas");

let state = "off"; // "off", "opening" (session and camera are on their way) or "on"
let run = 0; // counts starts, so that what belongs to an earlier one can tell
let session = null; // what the server said of it
let lastToken = ""; // of the newest session
let camera = null; // MediaStream
let socket = null; // null: frames go by "stream"
let number = 0; // of the newest frame that was sent
let inFlight = []; // when each frame that is not answered yet was sent
let lastSent = 0;
let served = 0; // ms that the server took for the last frame
let onTheWay = Infinity; // ms that frames take besides, at the least of late: more is a queue
let waiting = null; // timer until the next frame may be sent
let hasNewFrame = false; // the camera gave one since the last was sent
let undrawn = 0; // answers that are being decoded
let lags = []; // ms from capture to drawn, since the figures were last shown
let figuresAt = 0;

const CAMERA_PROBLEMS = {
  NotAllowedError:
    "This page may not use your camera. Allow it by the camera symbol in the address bar (or in " +
    "the browser's settings), then press Start camera again.",
  NotFoundError:
    "No camera was found. Connect one, then press Start camera again; or swap a photo in the " +
    "Image tab.",
  NotReadableError:
    "The camera gives no picture. Close other programs that use it, then press Start camera again.",
};
const NO_CAMERA_API =
  "Browsers give a camera only to pages at https:// or on this very computer (localhost). Open " +
  "the page at such an address.";

element.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name === "start") start();
  if (name === "stop") stop("");
  if (name === "snapshot") trigger("snapshot");
  if (name === "mirror") mirror(button("mirror").getAttribute("aria-pressed") === "false");
  if (name === "full") {
    if (document.fullscreenElement) document.exitFullscreen();
    else part(".camera").requestFullscreen?.();
  }
});
cameras.addEventListener("change", () => switchTo(cameras.value));
watch("value", () => {
  const value = props.value || {};
  if (value.refused) refused(value);
  else if (value.token && "socket" in value) opened(value);
  else if ("answers" in value) answered(value);
});
// An ended page has no camera light on.
window.addEventListener("pagehide", () => stop(""));

function start() {
  if (state !== "off") return;
  run += 1;
  set("opening", "Looking at the source photo…");
  props.value = { token: lastToken };
  trigger("begin");
}

function refused({ refused, missing }) {
  stop(refused);
  document.dispatchEvent(new CustomEvent("simswap-wanted", { detail: missing }));
}

async function opened(value) {
  lastToken = value.token;
  if (state !== "opening") return;
  const mine = run;
  session = value;
  say("Waiting for the camera. Your browser may ask you to allow it.");
  if (!(await film(mine, cameras.value)) || state !== "opening") return;
  set("on", "Waiting for the first swapped picture…");
  connect(mine);
  noticeFrames(mine);
  offerCameras(mine);
}

// Takes pictures from a camera, by its id, or from the one that faces the visitor.
async function film(mine, id) {
  let stream;
  try {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(NO_CAMERA_API);
    const which = id ? { deviceId: { exact: id } } : { facingMode: "user" };
    const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, ...which };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  } catch (error) {
    if (mine === run) stop(CAMERA_PROBLEMS[error.name] || error.message);
    return false;
  }
  if (mine !== run) {
    release(stream);
    return false;
  }
  camera = stream;
  const [track] = camera.getVideoTracks();
  track.addEventListener("ended", () => {
    if (mine === run) stop("The camera was disconnected or switched off.");
  });
  if (track.getSettings().facingMode === "environment") mirror(false);
  video.srcObject = camera;
  await video.play();
  return mine === run;
}

// Browsers tell the cameras' names once one may be used.
async function offerCameras(mine) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  if (mine !== run) return;
  const found = devices.filter((device) => device.kind === "videoinput");
  const inUse = camera.getVideoTracks()[0].getSettings().deviceId;
  cameras.replaceChildren(
    ...found.map(
      ({ deviceId, label }, place) =>
        new Option(label || `Camera ${place + 1}`, deviceId, false, deviceId === inUse),
    ),
  );
  part(".camera-choice").hidden = found.length < 2;
}

function switchTo(id) {
  if (state !== "on") return; // it is taken at the next start
  release(camera); // many phones give one at a time
  film(run, id);
}

function mirror(is) {
  button("mirror").setAttribute("aria-pressed", String(is));
  part(".camera").classList.toggle("unmirrored", !is);
}

function connect(mine) {
  if (!session.socket) return;
  const root = new URL(window.gradio_config?.root || "/", location.href);
  const address = new URL(root.pathname.replace(/\/$/, "") + session.socket, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const opening = new WebSocket(address);
  opening.binaryType = "arraybuffer"; // a blob's bytes come by way of another process
  let hasAnswered = false;
  socket = opening;
  const giveUp = () => {
    if (mine !== run || hasAnswered || socket !== opening) return;
    socket = null; // Gradio's stream takes over
    inFlight = [];
    opening.close();
    send();
  };
  setTimeout(giveUp, OPENING);
  opening.onopen = () => {
    opening.send(session.token);
    send();
  };
  opening.onmessage = (event) => {
    if (mine !== run || socket !== opening) return;
    if (typeof event.data === "string") {
      stop(event.data);
      return;
    }
    hasAnswered = true;
    const bytes = new Uint8Array(event.data);
    served = Math.max(bytes[2], 1) * SERVED_UNIT;
    onTheWay = Math.min(onTheWay + 1, performance.now() - inFlight[0] - served);
    draw(mine, bytes.subarray(3), bytes[0], bytes[1]);
  };
  opening.onclose = () => {
    if (mine !== run || socket !== opening) return;
    if (hasAnswered) stop("The connection ended. Press Start camera to begin again.");
    else giveUp();
  };
}

function noticeFrames(mine) {
  if (mine !== run || state !== "on") return;
  hasNewFrame = true;
  send();
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => noticeFrames(mine));
  else setTimeout(() => noticeFrames(mine), 33);
}

// How many ms a frame that is sent now would have to wait for its turn.
function wait(now) {
  if (!inFlight.length) return 0;
  if (!socket) return now - inFlight[0] > PATIENCE ? 0 : Infinity; // it is taken for lost
  const most = served ? Math.min(1 + Math.floor(onTheWay / served), MOST_IN_FLIGHT) : 1;
  return inFlight.length < most ? lastSent + served - now : Infinity;
}

// Sends the camera's newest frame, if it is its turn; those in between are never sent.
function send() {
  const now = performance.now();
  if (element.offsetParent === null) return; // another tab of the page is open
  if (state !== "on" || !hasNewFrame || undrawn > 1) return;
  if (socket && socket.readyState !== WebSocket.OPEN) return;
  clearTimeout(waiting);
  const rest = wait(now);
  if (rest > 0) {
    if (rest < PATIENCE) waiting = setTimeout(send, rest);
    return;
  }
  const scale = Math.min(1, LONG_SIDE / Math.max(video.videoWidth, video.videoHeight));
  if (!video.videoWidth) return;
  captured.width = Math.round(video.videoWidth * scale);
  captured.height = Math.round(video.videoHeight * scale);
  captured.getContext("2d").drawImage(video, 0, 0, captured.width, captured.height);
  hasNewFrame = false;
  if (!socket) inFlight = []; // what was lost
  inFlight.push(now);
  lastSent = now;
  number += 1;
  // Not toBlob: browsers put it off until they are idle.
  const frame = captured.toDataURL("image/jpeg", QUALITY);
  if (socket) {
    socket.send(bytesOf(frame));
  } else {
    props.value = { token: session.token, number: number, frame: frame };
    trigger("stream");
  }
}

function bytesOf(dataUri) {
  return Uint8Array.from(atob(dataUri.slice(dataUri.indexOf(",") + 1)), (c) => c.charCodeAt(0));
}

function answered(value) {
  if (state !== "on" || socket || value.answers !== number) return;
  draw(run, bytesOf(value.frame), value.faces, value.swapped);
}

async function decoded(jpeg) {
  if (!window.ImageDecoder) return createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const decoder = new ImageDecoder({ data: jpeg, type: "image/jpeg" });
  const { image } = await decoder.decode();
  decoder.close();
  return image;
}

async function draw(mine, jpeg, faces, swapped) {
  const capturedAt = inFlight.shift();
  const decoding = decoded(jpeg).catch(() => null);
  undrawn += 1;
  send(); // the server works on the next frame while this one is decoded and drawn
  const picture = await decoding;
  if (mine !== run || state !== "on") return picture?.close();
  undrawn -= 1;
  if (picture === null) return send(); // the next one may do
  const width = picture.displayWidth ?? picture.width;
  const height = picture.displayHeight ?? picture.height;
  if (shown.width !== width || shown.height !== height) {
    shown.width = width;
    shown.height = height;
  }
  shown.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  lags.push(performance.now() - capturedAt);
  if (!element.classList.contains("camera-on")) begun();
  if (faces === 0) say("No face in the picture. Come nearer, face the camera, or turn on a light.");
  else say(swapped === 0 ? "No face was swapped." : "");
  showFigures();
  send();
}

function begun() {
  element.classList.add("camera-on");
  part(".camera-mark").hidden = false;
  button("snapshot").disabled = false;
  figuresAt = performance.now();
  lags = [];
}

function showFigures() {
  const passed = performance.now() - figuresAt;
  if (passed < FIGURES_EVERY || !lags.length) return;
  const middle = [...lags].sort((a, b) => a - b)[Math.floor(lags.length / 2)];
  const fps = (lags.length * 1000) / passed;
  const way = socket ? "" : ", by Gradio's stream";
  part(".camera-figures").textContent =
    `${fps.toFixed(0)} per second, ${(middle / 1000).toFixed(2)} s behind${way}`;
  figuresAt = performance.now();
  lags = [];
}

function stop(why) {
  if (state === "off") return;
  run += 1;
  if (camera) release(camera);
  socket?.close();
  if (!socket && number) trigger("close_stream");
  props.value = { token: lastToken };
  trigger("end");
  camera = socket = session = null;
  inFlight = [];
  served = 0;
  onTheWay = Infinity;
  undrawn = 0;
  video.srcObject = null;
  element.classList.remove("camera-on");
  part(".camera-mark").hidden = true;
  part(".camera-figures").textContent = "";
  shown.getContext("2d").clearRect(0, 0, shown.width, shown.height);
  set("off", why);
}

function release(stream) {
  stream.getTracks().forEach((track) => track.stop());
}

function set(newState, text) {
  state = newState;
  button("start").disabled = state !== "off";
  button("stop").disabled = state === "off";
  if (state !== "on") button("snapshot").disabled = true;
  say(text);
}

function say(text) {
  if (message.textContent !== text) message.textContent = text;
}
