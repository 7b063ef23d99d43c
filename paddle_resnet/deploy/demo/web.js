"use strict";
// Classifies in this page: the network and ONNX Runtime Web are inside, packed by gzip.
function bytes(id) {
  const packed = Uint8Array.from(atob($$(id)), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
const $$ = (id) => document.getElementById(id).textContent.trim();

// The square in the middle, turned upright, on white, scaled to the network's size.
async function pixels(blob, shape, centre) {
  const [channels, height, width] = shape;
  let image;
  try {
    image = await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
      imageOrientation: "from-image",
    });
  } catch {
    throw new Error("That is no image that this browser can read.");
  }
  const wide = Math.min(image.width, (image.height * width) / height) * centre;
  const tall = (wide * height) / width;
  const left = (image.width - wide) / 2;
  const top = (image.height - tall) / 2;
  const rgba = resized(image, left, top, wide, tall, width, height);
  image.close();
  const plane = width * height;
  const data = new Uint8Array(channels * plane);
  for (let i = 0; i < plane; i++) {
    const [r, g, b] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]];
    if (channels === 1) {
      data[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16; // as Pillow
    } else {
      data[i] = r;
      data[plane + i] = g;
      data[2 * plane + i] = b;
    }
  }
  return data;
}

// Pillow's bilinear filter, which averages over all pixels that a small one covers. The canvas's
// own scaling differs from browser to browser.
function resized(image, left, top, wide, tall, width, height) {
  const columns = weights(image.width, left, wide, width);
  const rows = weights(image.height, top, tall, height);
  const [begin, end] = extent(columns);
  const [first, last] = extent(rows);
  // What is needed alone: a canvas has no more than 65,535 pixels on a side.
  const canvas = new OffscreenCanvas(end - begin, last - first);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, end - begin, last - first);
  context.drawImage(image, -begin, -first);
  const source = context.getImageData(0, 0, end - begin, last - first);
  const between = new Uint8ClampedArray((last - first) * width * 4);
  for (let y = first; y < last; y++) {
    for (let x = 0; x < width; x++) {
      const { start, values } = columns[x];
      for (let c = 0; c < 4; c++) {
        let sum = 0;
        for (let k = 0; k < values.length; k++) {
          sum += values[k] * source.data[4 * ((y - first) * (end - begin) + start - begin + k) + c];
        }
        between[4 * ((y - first) * width + x) + c] = Math.floor(sum + 0.5);
      }
    }
  }
  const result = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    const { start, values } = rows[y];
    for (let i = 0; i < 4 * width; i++) {
      let sum = 0;
      for (let k = 0; k < values.length; k++) {
        sum += values[k] * between[4 * (start - first + k) * width + i];
      }
      result[4 * y * width + i] = Math.floor(sum + 0.5);
    }
  }
  return result;
}

// The first source pixel that weights are for, and the one after the last.
function extent(all) {
  const last = all[all.length - 1];
  return [all[0].start, last.start + last.values.length];
}

// For each target pixel the first source pixel and the weights from there on.
function weights(size, begin, length, target) {
  const scale = length / target;
  const support = Math.max(scale, 1);
  return Array.from({ length: target }, (_, i) => {
    const centre = begin + (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), size);
    const values = [];
    for (let k = start; k < end; k++) {
      values.push(Math.max(0, 1 - Math.abs((k - centre + 0.5) / support)));
    }
    const sum = values.reduce((a, b) => a + b, 0);
    return { start, values: values.map((v) => v / sum) };
  });
}

let session = null;
async function run(data) {
  const facts = JSON.parse($$("page-facts"));
  const tensor = new ort.Tensor("uint8", data, [1, ...facts.inputShape]);
  const answers = await (await session).run({ image: tensor });
  return { logits: answers.logits.data, probabilities: answers.probabilities.data };
}

const how = {
  pixels: (blob) => {
    const facts = JSON.parse($$("page-facts"));
    return pixels(blob, facts.inputShape, facts.centre);
  },
  run,
  ready() {
    session = (async () => {
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = await bytes("runtime");
      const network = new Uint8Array(await bytes("network"));
      return ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
    })();
    return session;
  },
  async classify(blob) {
    const facts = JSON.parse($$("page-facts"));
    const data = await pixels(blob, facts.inputShape, facts.centre);
    const began = performance.now();
    const { probabilities } = await run(data);
    const milliseconds = performance.now() - began;
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    const top = order.slice(0, 5).map((i) => ({
      class: facts.classes[i],
      probability: probabilities[i],
    }));
    return { top, milliseconds };
  },
};
