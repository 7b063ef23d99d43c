// The page itself: images come by drop, paste, choice or camera, and `how.classify` answers.
const $ = (id) => document.getElementById(id);
const facts = JSON.parse($("page-facts").textContent);
const shown = []; // {blob, name, url where it can be shown, result, error, item}
let current = null;
let stream = null;

function text(element, content, className) {
  const made = document.createElement(element);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

function describe() {
  const [channels, height, width] = facts.inputShape;
  const count = facts.classes.length;
  $("facts").textContent =
    `${count.toLocaleString("en")} ${count === 1 ? "class" : "classes"} · sees ${width} × ${height} ` +
    `${channels === 1 ? "grey" : "pixels"} · ` +
    (facts.runtime.includes(facts.precision) ? "" : `${facts.precision} · `) +
    facts.runtime;
  if (facts.heatmap) $("heatswitch").hidden = false;
  if (location.protocol.startsWith("http")) {
    $("api").append("In a shell: ");
    $("api").append(text("code", `curl --data-binary @cat.jpg ${location.origin}/predict`));
  }
  // Each name on its own: one that is written from the right would turn its neighbours round.
  const hint = text("p", "Knows: ", "hint");
  facts.classes.slice(0, 12).forEach((name, i) => hint.append(i ? ", " : "", text("bdi", name)));
  hint.append(count > 12 ? ", …." : ".");
  $("answers").replaceChildren(hint);
}

function percent(value) {
  return value >= 0.9995 ? "100 %" : `${(100 * value).toFixed(1)} %`;
}

function draw() {
  const entry = current;
  $("message").hidden = !entry || !entry.error;
  $("answers").classList.toggle("busy", Boolean(entry) && !entry.result && !entry.error);
  if (!entry) return;
  $("empty").hidden = Boolean(entry.url);
  $("drop").classList.toggle("filled", Boolean(entry.url));
  $("image").hidden = !entry.url;
  if (entry.url) $("image").src = entry.url;
  $("image").alt = entry.name;
  const heat = entry.result && entry.result.heatmap;
  $("heat").hidden = !(heat && $("heatbox").checked);
  if (heat) {
    $("heat").src = heat;
    $("heat").alt = `Heat map of ${entry.name}`;
  }
  if (entry.error) {
    $("message").textContent = entry.error;
    $("answers").replaceChildren();
  } else if (entry.result) {
    $("answers").replaceChildren(...entry.result.top.map(row));
    const time = `${entry.result.milliseconds.toFixed(1)} ms`;
    $("answers").append(text("p", time, "time"));
  }
  for (const each of shown) each.item.setAttribute("aria-current", String(each === entry));
}

function row(answer) {
  const made = text("div", "", "row");
  const name = text("span", answer.class, "name");
  name.title = answer.class;
  name.dir = "auto";
  const bar = document.createElement("i");
  bar.style.width = "0";
  requestAnimationFrame(() => (bar.style.width = `${100 * answer.probability}%`));
  const track = text("div", "", "track");
  track.append(bar);
  made.append(name, text("span", percent(answer.probability), "percent"), track);
  return made;
}

function remember(entry) {
  const item = document.createElement("button");
  item.type = "button";
  item.setAttribute("role", "listitem");
  const image = entry.url ? document.createElement("img") : text("i", entry.name, "blank");
  if (entry.url) {
    image.src = entry.url;
    image.alt = entry.name;
  }
  entry.label = text("span", "…");
  entry.label.dir = "auto";
  item.append(image, entry.label);
  item.addEventListener("click", () => show(entry));
  entry.item = item;
  shown.unshift(entry);
  $("strip").prepend(item);
  while (shown.length > 40) {
    const old = shown.pop();
    if (old.url) URL.revokeObjectURL(old.url);
    old.item.remove();
  }
}

async function show(entry) {
  current = entry;
  if (entry.error) entry.label.textContent = "–";
  draw();
  if (!entry.error && (!entry.result || ($("heatbox").checked && !entry.result.heatmap))) {
    await answer(entry);
  }
}

async function answer(entry) {
  try {
    entry.result = await how.classify(entry.blob, facts.heatmap && $("heatbox").checked);
    entry.label.textContent = entry.result.top[0].class;
  } catch (error) {
    entry.error = error.message || String(error);
    entry.label.textContent = "–";
  }
  if (current === entry) draw();
}

async function take(files) {
  const images = [...files].filter((file) => !file.type || file.type.startsWith("image/"));
  if (!images.length) {
    $("message").textContent = "That is no image.";
    $("message").hidden = false;
    return;
  }
  stopCamera();
  for (const blob of images) {
    const entry = { blob, name: blob.name || "image" };
    await measure(entry);
    remember(entry);
    await show(entry);
  }
}

// The size is known from an image's head, before anything decodes it. What is too large for that is
// not shown either: a file of 50 kB may say that it has 400 million pixels of one colour.
async function measure(entry) {
  const url = URL.createObjectURL(entry.blob);
  const image = new Image();
  const readable = await new Promise((done) => {
    image.onload = () => done(true);
    image.onerror = () => done(false);
    image.src = url;
  });
  const pixels = image.naturalWidth * image.naturalHeight;
  if (readable && pixels <= facts.maxPixels) {
    entry.url = url;
    return;
  }
  image.src = "data:,";
  URL.revokeObjectURL(url);
  if (readable) {
    const [has, most] = [pixels, facts.maxPixels].map((n) => Math.ceil(n / 1e6).toLocaleString("en"));
    entry.error = `The image has ${has} megapixels, at most ${most} are taken.`;
  }
}

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    $("message").textContent = `The camera cannot be used (${error.message || error.name}).`;
    $("message").hidden = false;
    return;
  }
  $("video").srcObject = stream;
  $("video").hidden = false;
  $("empty").hidden = $("image").hidden = $("heat").hidden = true;
  await $("video").play();
  $("camera").textContent = "Take photo";
  $("drop").classList.add("filled");
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  $("video").hidden = true;
  $("camera").textContent = "Camera";
}

async function takePicture() {
  const video = $("video");
  if (!video.videoWidth) return; // no frame has come yet
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  stopCamera();
  await take([new File([blob], "camera.png", { type: "image/png" })]);
}

$("choose").addEventListener("click", () => $("file").click());
$("drop").addEventListener("click", () => !stream && $("file").click());
$("drop").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    $("file").click();
  }
});
$("file").addEventListener("change", async () => {
  await take($("file").files);
  $("file").value = "";
});
$("camera").addEventListener("click", () => (stream ? takePicture() : startCamera()));
$("heatbox").addEventListener("change", () => current && show(current));
addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files));
let depth = 0;
addEventListener("dragenter", () => document.body.classList.toggle("dragging", ++depth > 0));
addEventListener("dragleave", () => document.body.classList.toggle("dragging", --depth > 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dragging");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
});
// For tests, and for whoever wants to use the network from the console.
globalThis.paddleResnet = how;
describe();
how.ready().then(
  () => document.body.setAttribute("data-ready", "true"),
  (error) => {
    $("message").textContent = error.message || String(error);
    $("message").hidden = false;
  },
);
