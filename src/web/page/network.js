// The network of this folder: images in, embeddings out; on WebGPU, or where there is none in JavaScript.

import { Reference } from "./reference.js";
import { Runner } from "./runner.js";

// Version of the folder's layout that this file reads.
const VERSION = 1;

async function fetched(base, name, as) {
  const answer = await fetch(new URL(name, base));
  if (!answer.ok) throw new Error(`${name} cannot be loaded: ${answer.status} ${answer.statusText}`);
  return answer[as]();
}

// A number of 16 bits, IEEE 754.
function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
}

// The arrays of weights.bin by the names of their slots.
function arrays(bytes, list) {
  return new Map(list.map(({ slot, element, offset, length }) => {
    const values = element === "f16"
      ? Float32Array.from(new Uint16Array(bytes, offset, length), half)
      : new Float32Array(bytes, offset, length);
    return [slot, values];
  }));
}

async function webgpu() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  return adapter ? { device: await adapter.requestDevice(), info: adapter.info } : null;
}

const titleOf = ({ vendor, architecture, device, description }) =>
  description || [vendor, architecture, device].filter(Boolean).join(" ") || "unnamed";

// Opens the folder at `base`. `javascript`: without WebGPU, even if it is there.
export async function open(base, { javascript = false } = {}) {
  const [description, bytes, found] = await Promise.all([
    fetched(base, "plan.json", "json"),
    fetched(base, "weights.bin", "arrayBuffer"),
    javascript ? null : webgpu(),
  ]);
  if (description.version !== VERSION) {
    throw new Error(`plan.json has layout ${description.version}, and this page reads ${VERSION}: export all anew`);
  }
  const values = arrays(bytes, description.weights);
  const network = new Network(description, values);
  await (found ? network.onDevice(found, base) : network.onProcessor());
  return network;
}

class Network {
  constructor(description, values) {
    Object.assign(this, { description, values, runners: [] });
  }

  async onDevice({ device, info }, base) {
    // SwiftShader and its like.
    const software = Boolean(info.isFallbackAdapter) || /swiftshader|llvmpipe|lavapipe/i.test(titleOf(info));
    const text = (name) => fetched(base, `shaders/${name}.wgsl`, "text");
    Object.assign(this, { device, adapter: titleOf(info), kind: "WebGPU", lost: device.lost });
    this.make = (plan) => Runner.make(device, plan, text, this.values, { software, other: this.runners[0] });
    await this.prepare();
  }

  async onProcessor() {
    Object.assign(this, { adapter: "this browser's JavaScript", kind: "JavaScript" });
    this.make = (plan) => new Reference(plan, this.values);
    await this.prepare();
  }

  // What follows from the weights alone.
  async prepare() {
    for (const plan of this.description.plans) {
      const runner = await this.make(plan);
      runner.run(...plan.sections.prepare);
      this.runners.push(runner);
    }
  }

  // A runner of the plan of a training step: what it trains is what embeds.
  training() {
    return this.make(this.description.training);
  }

  // The shaders in use.
  get shaders() {
    return this.kind === "WebGPU" ? this.runners[0].shaders : [];
  }

  // The embeddings of images, each `height * width * channels` bytes: an array of `dims` values of each in turn.
  async embed(images) {
    const { dims, input: { height, width, channels } } = this.description;
    const pixels = height * width * channels;
    const embeddings = new Float32Array(images.length * dims);
    for (let start = 0; start < images.length;) {
      const left = images.length - start;
      const runner = this.runners.find(({ plan }) => plan.rows >= left) ?? this.runners.at(-1);
      const { rows, embedding, sections } = runner.plan;
      const count = Math.min(rows, left);
      const bytes = new Uint8Array((rows * pixels + 3) & ~3);
      for (let row = 0; row < rows; row++) {
        // What is left of a batch is filled with its last image.
        bytes.set(images[start + Math.min(row, count - 1)], row * pixels);
      }
      runner.write("images", new Uint32Array(bytes.buffer));
      runner.write("rows", Uint32Array.from({ length: rows }, (_, row) => row));
      runner.run(sections.gather[0], sections.forward[1]);
      embeddings.set((await runner.read(embedding)).subarray(0, count * dims), start * dims);
      start += count;
    }
    return embeddings;
  }
}
