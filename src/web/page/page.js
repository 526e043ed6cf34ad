// The page of a trained network: what somebody draws, drops or films is embedded and recognised.

import { Gallery, sha256 } from "./gallery.js";
import { open } from "./network.js";
import { decode, draw, drawing, frame, paper, prepare } from "./picture.js";

// As in the report of a run: ten colours that remain apart for the colour-blind, on light and dark (Petroff 2021).
const COLOURS = "#3f90da #ffa90e #bd1f01 #94a4a2 #832db6 #a96b59 #e76300 #b9ac70 #717581 #92dadd".split(" ");
const SHAPES = [
  (x, y) => `M${x - 3.4} ${y}a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z`,
  (x, y) => `M${x - 3} ${y - 3}h6v6h-6z`,
  (x, y) => `M${x} ${y - 4}l3.8 6.8h-7.6z`,
  (x, y) => `M${x} ${y - 4.4}l4.4 4.4-4.4 4.4-4.4-4.4z`,
];
// Identities that a map still has room to name, and nearest ones that are listed.
const [FEW, LISTED] = [30, 5];
// Embeddings that are on the map, and names in the list of the gallery.
const [MOST_POINTS, MOST_NAMES] = [2000, 200];

const at = (id) => document.getElementById(id);
const count = (n, word) => `${n.toLocaleString("en-US")} ${word}${n === 1 ? "" : "s"}`;
const short = (v) => (v === 0 ? "0" : Math.abs(v) < 1e-3 ? v.toExponential(1) : String(Number(v.toPrecision(3))));
const total = (values) => values.reduce((sum, value) => sum + value, 0);
const mean = (values) => total(values) / values.length;

// An element with attributes, and with text or other elements in it.
function element(tag, attributes = {}, ...inside) {
  const svg = ["svg", "g", "path", "rect", "line", "text", "circle", "title"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

function trouble(error) {
  at("trouble").textContent = error === null ? "" : `${error.message ?? error}`;
  at("trouble").hidden = error === null;
}

// Does something that may fail; says so on the page.
const attempt =
  (action) =>
  async (...given) => {
    try {
      trouble(null);
      await action(...given);
    } catch (error) {
      trouble(error);
    }
  };

let network, gallery;
// What is shown: { seen, name, content, embedding }, `seen` being the picture as the network sees it.
let shown = null;
let strokes = [];
// The mouse, finger or pen that is drawing.
let pointer = null;
let film = null;
// Milliseconds of the last recognitions.
let times = [];
// The map's axes, and what puts the ring where it belongs on it.
let axes = null,
  placed = null;

// ------------------------------------------------------------------------------------------------------ recognition

// Embeds images, and notes how long one took.
async function embed(images) {
  const start = performance.now(),
    { dims } = network.description,
    values = await network.embed(images);
  times = [...times, (performance.now() - start) / images.length].slice(-20);
  return images.map((_, k) => values.slice(k * dims, (k + 1) * dims));
}

// Shows what `make` makes: its picture, and what it is called and known by. While one is embedded others wait, and of
// those that wait the last alone is shown.
let waiting = null;
let busy = null;
function show(make) {
  const all = async () => {
    while (waiting) {
      const next = waiting();
      waiting = null;
      if (next) next.embedding ??= (await embed([next.seen]))[0];
      shown = next;
      render();
    }
  };
  const done = () => {
    busy = null;
    settle();
  };
  waiting = make;
  busy ??= all().catch(trouble).finally(done);
  settle();
  return busy;
}

// An answer is read out once it is that of the whole drawing.
function settle() {
  at("answer").setAttribute("aria-busy", busy !== null || pointer !== null);
}

// What has no file is known by its pixels.
const unnamed = (picture, name) => {
  const seen = prepare(picture, network.description.input);
  return { seen, name: `${name} ${new Date().toISOString()}`, content: sha256(seen) };
};

const drawn = () => (strokes.length ? unnamed(drawing(strokes, network.description.input), "drawing") : null);

async function showFiles(files) {
  const { input } = network.description,
    all = [],
    refused = [];
  for (const file of files) {
    try {
      const seen = prepare(await decode(file, file.name), input);
      all.push({ seen, name: file.name, content: sha256(new Uint8Array(await file.arrayBuffer())) });
    } catch (error) {
      refused.push(error.message);
    }
  }
  if (all.length) {
    stopCamera();
    strokes = [];
    drawPaper();
    const embeddings = await embed(all.map((picture) => picture.seen));
    all.forEach((picture, k) => {
      picture.embedding = embeddings[k];
    });
    listPictures(all);
    await show(() => all[0]);
  }
  if (refused.length) throw new Error(refused.join("; "));
}

// Where there are several, a button each.
function listPictures(pictures) {
  const buttons = (pictures.length > 1 ? pictures : []).map((picture) => {
    const canvas = element("canvas", { "aria-hidden": "true" }),
      answer = gallery.recognise(picture.embedding);
    paint(canvas, picture.seen);
    const says = answer ? (answer.identity ?? "unknown") : picture.name,
      button = element("button", { type: "button" }, canvas, says);
    button.onclick = () => show(() => picture);
    return button;
  });
  at("pictures").replaceChildren(...buttons);
}

// ---------------------------------------------------------------------------------------------------------- drawing

function drawPaper() {
  const canvas = at("paper"),
    { input } = network.description,
    own = paper(input),
    context = canvas.getContext("2d");
  const wide = Math.min(canvas.clientWidth || 340, 340) * devicePixelRatio;
  [canvas.width, canvas.height] = [wide, (wide * input.height) / input.width];
  context.fillStyle = `rgb(${own.paper} ${own.paper} ${own.paper})`;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = `rgb(${own.ink} ${own.ink} ${own.ink})`;
  // Points are in widths of the paper.
  draw(
    context,
    strokes.map((stroke) => stroke.map((p) => p.map((v) => v * wide))),
    wide / 14,
  );
  at("undo").disabled = !strokes.length;
}

function redrawn() {
  drawPaper();
  listPictures([]);
  return show(drawn);
}

function prepareDrawing() {
  const canvas = at("paper");
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.width];
  };
  canvas.onpointerdown = (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    strokes.push([point(event)]);
    redrawn();
  };
  canvas.onpointermove = (event) => {
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(passed.length ? passed : [event]).map(point));
    redrawn();
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    settle();
  };
  const undo = () => {
    strokes.pop();
    redrawn();
  };
  at("undo").onclick = undo;
  at("clear").onclick = () => {
    stopCamera();
    strokes = [];
    redrawn();
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.tagName === "INPUT";
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !typing && strokes.length) {
      event.preventDefault();
      undo();
    }
  });
}

// ---------------------------------------------------------------------------------------------------- files, camera

function prepareFiles() {
  const take = attempt(showFiles);
  at("files").onchange = async (event) => {
    await take([...event.target.files]);
    event.target.value = "";
  };
  const page = document.documentElement;
  for (const name of ["dragover", "dragleave", "drop"]) {
    page.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      page.classList.toggle("dropping", name === "dragover");
      if (name === "drop") take([...event.dataTransfer.files]);
    });
  }
  page.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) take(files);
  });
}

function stopCamera() {
  film?.getTracks().forEach((track) => track.stop());
  film = null;
  at("video").hidden = true;
  at("paper").hidden = false;
  at("camera").setAttribute("aria-pressed", "false");
}

async function startCamera() {
  if (!navigator.mediaDevices)
    throw new Error("this browser lends its camera to pages by https and on localhost alone");
  film = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).catch((error) => {
    throw new Error(`there is no picture of a camera: ${error.message}`);
  });
  const video = at("video"),
    own = film;
  video.srcObject = film;
  await video.play();
  video.hidden = false;
  at("paper").hidden = true;
  at("camera").setAttribute("aria-pressed", "true");
  listPictures([]);
  while (film === own) {
    await show(() => unnamed(frame(video, network.description.input), "camera"));
    await new Promise(requestAnimationFrame);
  }
}

// ------------------------------------------------------------------------------------------------------- the answer

// Paints an input as it is.
function paint(canvas, seen) {
  const { width, height, channels } = network.description.input;
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let k = 0; k < 3; k++) image.data[4 * pixel + k] = seen[pixel * channels + (channels < 3 ? 0 : k)];
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function say(id, words) {
  // A region that is read out is, even where it is given the words that it has.
  if (at(id).textContent !== words) at(id).textContent = words;
}

function render() {
  const answer = shown && gallery.recognise(shown.embedding);
  const { width, height } = network.description.input;
  paint(at("seen"), shown?.seen ?? new Uint8Array(width * height * network.description.input.channels));
  at("seen").setAttribute(
    "aria-label",
    shown ? `${shown.name} as the network sees it, ${width} by ${height} pixels` : "Nothing is shown yet",
  );
  say("answer", answer ? (answer.identity ?? "unknown") : "–");
  at("answer").classList.toggle("unknown", Boolean(answer && answer.identity === null));
  const { threshold } = gallery;
  const beside = !answer
    ? []
    : [
        answer.identity === null
          ? `nearest is ${answer.nearest}, at ${short(answer.distance)}`
          : `at distance ${short(answer.distance)}`,
        ...(threshold ? [`${answer.identity === null ? "beyond" : "within"} ${short(threshold.distance)}`] : []),
        ...(answer.margin === null ? [] : [`the next ${short(answer.margin)} farther`]),
      ];
  say("details", !shown ? "" : answer ? beside.join(", ") : "Nobody is enrolled: give it a name.");
  at("add").disabled = !shown;
  renderNearest();
  renderEmbedding();
  placed?.();
  renderFacts();
}

// Identities with their distances as bars, and the threshold.
function renderNearest() {
  const near = shown ? gallery.nearest(shown.embedding).slice(0, LISTED) : [],
    limit = gallery.threshold?.distance;
  if (!near.length) {
    at("nearest").replaceChildren();
    return;
  }
  const width = Math.max(260, at("nearest").clientWidth),
    [row, names, numbers] = [26, 110, 56];
  const most = Math.max(...near.map((n) => n.distance), limit ?? 0) * 1.05 || 1,
    x = (v) => names + ((width - names - numbers) * v) / most;
  const words = near.map((n) => `${gallery.identities[n.number]} ${short(n.distance)}`).join(", ");
  const bars = near.flatMap((n, k) => {
    const name = gallery.identities[n.number],
      y = k * row;
    return [
      element(
        "text",
        { x: names - 8, y: y + 17, "text-anchor": "end", class: k ? "" : "strong" },
        name.length > 15 ? `${name.slice(0, 14)}…` : name,
      ),
      element("rect", {
        x: names,
        y: y + 6,
        width: Math.max(2, x(n.distance) - names),
        height: 14,
        rx: 3,
        class: gallery.admits(n.distance) ? "accepted" : "refused",
      }),
      element("text", { x: x(n.distance) + 6, y: y + 17 }, short(n.distance)),
    ];
  });
  const end = near.length * row,
    edge =
      limit === undefined
        ? []
        : [
            element("line", { class: "edge", x1: x(limit), x2: x(limit), y1: 0, y2: end + 4 }),
            element("text", { x: x(limit), y: end + 18, "text-anchor": "middle" }, `threshold ${short(limit)}`),
          ];
  const label = `Nearest identities: ${words}${limit === undefined ? "" : `; unknown beyond ${short(limit)}`}`;
  at("nearest").replaceChildren(
    element("svg", { height: end + 24, role: "img", "aria-label": label }, ...bars, ...edge),
  );
}

function renderEmbedding() {
  if (!shown) {
    at("embedding").replaceChildren();
    return;
  }
  const values = [...shown.embedding],
    width = Math.max(260, at("embedding").clientWidth),
    high = 90;
  const most = Math.max(...values.map(Math.abs)) || 1,
    step = width / values.length;
  const bars = values.map((value, k) =>
    element("rect", {
      x: k * step,
      width: Math.max(0.5, step * 0.8),
      y: high / 2 - (Math.max(value, 0) / most) * (high / 2),
      height: (Math.abs(value) / most) * (high / 2),
      class: value < 0 ? "below" : "above",
    }),
  );
  const label = `${count(values.length, "number")} from ${short(Math.min(...values))} to ${short(Math.max(...values))}`;
  const axis = element("line", { class: "axis", x1: 0, x2: width, y1: high / 2, y2: high / 2 });
  at("embedding").replaceChildren(element("svg", { height: high, role: "img", "aria-label": label }, ...bars, axis));
}

function renderFacts() {
  const { spec, data, input, dims, model } = network.description,
    { kind, adapter, shaders } = network;
  const facts = {
    network: element("code", {}, spec),
    "trained on": data ?? "unknown",
    input: `${input.height} × ${input.width}, ${input.channels === 1 ? "grey" : count(input.channels, "channel")}`,
    embedding: count(dims, "number"),
    model,
    "runs on": kind === "WebGPU" ? `${adapter}, by WebGPU` : adapter,
    "one recognition": times.length
      ? `${times.at(-1).toFixed(1)} ms, ${mean(times).toFixed(1)} ms of the last ${times.length}`
      : "none yet",
    shaders: shaders.length ? shaders.join(", ") : "none",
  };
  const wide = { network: "wide", shaders: "wide" };
  const entry = ([name, value]) =>
    element("div", { class: wide[name] ?? "" }, element("dt", {}, name), element("dd", {}, value));
  at("facts").replaceChildren(...Object.entries(facts).map(entry));
}

// ------------------------------------------------------------------------------------------------- gallery and map

const colour = (number) => COLOURS[number % COLOURS.length];
const mark = (number, x, y) => SHAPES[Math.floor(number / COLOURS.length) % SHAPES.length](x, y);

function renderGallery() {
  const { identities, threshold } = gallery,
    images = gallery.counts();
  say(
    "gallery-about",
    identities.length
      ? `${count(identities.length, "name")}, ${count(total(images), "image")}. siamese recognize reads what is saved.`
      : "Nobody is enrolled yet. Show something and say whose it is, or load a gallery of this model.",
  );
  at("threshold").value = threshold?.distance ?? "";
  at("save").disabled = !identities.length;
  at("identities").replaceChildren(
    ...identities.slice(0, MOST_NAMES).map((name, number) => {
      const remove = element("button", { type: "button", "aria-label": `Take ${name} out` }, "×");
      remove.onclick = () => {
        gallery.remove(name);
        changed();
      };
      const icon = element(
        "svg",
        { viewBox: "0 0 12 12", "aria-hidden": "true" },
        element("path", { d: mark(number, 6, 6), fill: colour(number) }),
      );
      return element(
        "li",
        {},
        icon,
        element("b", {}, name),
        element("span", { class: "small" }, count(images[number], "image")),
        remove,
      );
    }),
  );
}

// The two directions in which vectors differ most, by power iteration (Pearson 1901); each points to where its largest
// component does, as in the report of a run.
function principal(vectors) {
  const dims = vectors[0].length,
    centre = Array.from({ length: dims }, (_, k) => mean(vectors.map((v) => v[k])));
  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
  let left = vectors.map((v) => Float64Array.from(v, (value, k) => value - centre[k]));
  const directions = [0, 1].map(() => {
    // Where the longest points to is a start with a part of the direction that is sought.
    let axis = left.reduce((a, b) => (dot(b, b) > dot(a, a) ? b : a));
    for (let turn = 0; turn < 60; turn++) {
      const next = new Float64Array(dims);
      for (const v of left) {
        const along = dot(v, axis);
        for (let k = 0; k < dims; k++) next[k] += along * v[k];
      }
      const length = Math.sqrt(dot(next, next));
      if (length < 1e-12) return new Float64Array(dims);
      axis = next.map((value) => value / length);
    }
    left = left.map((v) => {
      const along = dot(v, axis);
      return v.map((value, k) => value - along * axis[k]);
    });
    const largest = axis.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
    return largest < 0 ? axis.map((value) => -value) : axis;
  });
  return (v) =>
    directions.map((axis) =>
      dot(
        axis,
        Array.from(v, (value, k) => value - centre[k]),
      ),
    );
}

function renderMap() {
  const { rows, identities } = gallery,
    each = Math.ceil(rows.length / MOST_POINTS) || 1;
  const points = rows.filter((_, k) => k % each === 0);
  placed = null;
  if (points.length < 2) {
    say("map-about", "With two or more images in the gallery there is a map of them here.");
    at("map").replaceChildren();
    return;
  }
  const named = identities.length <= FEW;
  say(
    "map-about",
    `${count(points.length, "embedding")} of the gallery, along the two directions in which they differ most (PCA). ` +
      "The ring is what is shown now.",
  );
  axes ??= principal(points.map((row) => row.embedding));
  const flat = points.map((row) => axes(row.embedding)),
    width = Math.max(260, at("map").clientWidth);
  const height = Math.min(Math.round(width * 0.72), 620),
    pad = 24,
    sides = [0, 1];
  const low = sides.map((k) => Math.min(...flat.map((p) => p[k]))),
    high = sides.map((k) => Math.max(...flat.map((p) => p[k])));
  const scale = Math.min((width - 2 * pad) / (high[0] - low[0] || 1), (height - 2 * pad) / (high[1] - low[1] || 1));
  const place = (p) => [
    width / 2 + (p[0] - (low[0] + high[0]) / 2) * scale,
    height / 2 - (p[1] - (low[1] + high[1]) / 2) * scale,
  ];
  const places = flat.map(place);
  const marks = points.map((row, k) =>
    element(
      "path",
      { d: mark(row.identity, ...places[k]), fill: colour(row.identity), opacity: 0.85 },
      element("title", {}, identities[row.identity]),
    ),
  );
  const labels = (named ? identities : []).map((name, number) => {
    const own = places.filter((_, k) => points[k].identity === number),
      middle = (k) => own.map((p) => p[k]).sort((a, b) => a - b)[Math.floor(own.length / 2)];
    return own.length
      ? element("text", { class: "halo strong", "text-anchor": "middle", x: middle(0), y: middle(1) - 8 }, name)
      : "";
  });
  const ring = element("circle", { class: "probe", r: 8 });
  // What is shown may lie beyond all that is enrolled: it stays at the edge.
  const inside = (v, end) => Math.min(Math.max(v, 8), end - 8);
  placed = () => {
    ring.toggleAttribute("hidden", !shown);
    if (!shown) return;
    const [x, y] = place(axes(shown.embedding));
    ring.style.transform = `translate(${inside(x, width)}px, ${inside(y, height)}px)`;
  };
  at("map").replaceChildren(
    element(
      "svg",
      {
        height,
        role: "img",
        "aria-label": `Map of ${count(points.length, "embedding")} of ${identities.length} identities`,
      },
      ...marks,
      ...labels,
      ring,
    ),
  );
  placed();
}

// After a change of the gallery.
function changed() {
  axes = null;
  renderGallery();
  renderMap();
  render();
}

function loadGallery(bytes, name) {
  try {
    gallery = Gallery.read(bytes, network.description);
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  }
  changed();
}

function prepareGallery() {
  at("enrol").onsubmit = (event) => {
    event.preventDefault();
    attempt(() => {
      const name = at("name").value.trim();
      if (!name || !shown) return;
      const calibrated = gallery.threshold?.far != null,
        added = gallery.add(name, shown.name, shown.content, shown.embedding);
      const lost = calibrated && added ? " The threshold was of the gallery before: calibrate it again." : "";
      const whose = gallery.holder(shown.name, shown.content);
      say("enrolled", added ? `Enrolled as ${whose}.${lost}` : `It is enrolled as ${whose} already.`);
      changed();
    })();
  };
  at("threshold").onchange = () => {
    const value = at("threshold").valueAsNumber;
    gallery.threshold = value >= 0 ? { distance: value, far: null } : null;
    changed();
  };
  at("load").onchange = attempt(async (event) => {
    const [file] = event.target.files;
    const bytes = new Uint8Array(await file.arrayBuffer());
    // The same file may be chosen again.
    event.target.value = "";
    loadGallery(bytes, file.name);
  });
  at("save").onclick = () => {
    const url = URL.createObjectURL(new Blob([gallery.write()]));
    element("a", { href: url, download: `${network.description.data ?? "my"}.gallery` }).click();
    // Once the browser has begun.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
}

// ------------------------------------------------------------------------------------------------------------ start

// Why the network runs in JavaScript; `refused` is what a graphics device said of it.
function withoutWebGPU(refused) {
  if (refused) return `WebGPU does not run the network here, JavaScript does: ${refused.message}`;
  const remedy = isSecureContext
    ? "Chrome, Edge and Safari 26 have it, and Firefox on Windows and macOS; elsewhere it may be behind a setting."
    : "Browsers lend it to pages by https and on localhost alone, and this one came otherwise.";
  return `There is no WebGPU here: the network runs in JavaScript, with the same answers. ${remedy}`;
}

async function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)"),
    root = document.documentElement.style;
  at("theme").onclick = () => {
    root.colorScheme = (root.colorScheme || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
  };
  at("about").textContent = "Loading the network …";
  const base = new URL(".", document.baseURI);
  let refused = null;
  network = await open(base).catch((error) => {
    refused = error;
    return open(base, { javascript: true });
  });
  const { description } = network;
  gallery = new Gallery(description);
  at("title").textContent = description.data ?? "A network";
  document.title = `${description.data ?? "network"} · siamese`;
  at("version").textContent = ` ${description.program}`;
  say(
    "about",
    `It makes ${count(description.dims, "number")} of a picture, so that pictures of the same are near each other. ` +
      `It runs here, in your browser${network.kind === "WebGPU" ? ", by the compute shaders that trained it" : ""}.`,
  );
  if (network.kind !== "WebGPU") {
    say("without", withoutWebGPU(refused));
    at("without").hidden = false;
  }
  network.lost?.then(({ message }) => trouble(`The graphics device is lost, load the page again. ${message}`));
  prepareDrawing();
  prepareFiles();
  prepareGallery();
  at("camera").onclick = attempt(() => (film ? stopCamera() : startCamera()));
  if (description.gallery) {
    const load = async (answer) => loadGallery(new Uint8Array(await answer.arrayBuffer()), description.gallery);
    await fetch(new URL(description.gallery, base)).then(load).catch(trouble);
  }
  at("main").hidden = false;
  drawPaper();
  changed();
  let width = at("page").clientWidth;
  new ResizeObserver(() => {
    if (at("page").clientWidth === width) return;
    width = at("page").clientWidth;
    // In the next frame: what is drawn changes the page that is being observed.
    requestAnimationFrame(() => {
      drawPaper();
      renderMap();
      render();
    });
  }).observe(at("page"));
}

at("unstarted").remove();
start().catch(trouble);
