// A forward pass in plain JavaScript: the calls of a plan, as their shaders have them, for browsers without WebGPU.
// Constants and layouts are those of the shader of the same name; sums are made in 64 bits.

// By the numbers that `lib/activation.wgsl` gives them.
const ACTIVATIONS = [
  (z) => z,
  (z) => Math.max(z, 0),
  (z) => 1 / (1 + Math.exp(-z)),
  (z) => Math.min(Math.max(z, 0), 6),
];

// Those of `lib/function.wgsl`.
const FUNCTIONS = [
  (x, factor) => factor * x,
  (x, factor) => (x > 0 ? x : factor * x),
  (x) => x / (1 + Math.exp(-x)),
  (x) => (x < -3 ? 0 : x > 3 ? x : (x * (x + 3)) / 6),
];

// y = f of the place, for every place.
function fill(y, f) {
  for (let k = 0; k < y.length; k++) y[k] = f(k);
}

// The places that a window has along an axis at output `at`: from the first tap inside on, below the last.
const inside = (at, { stride, window, pad, length }) => [
  Math.max(0, pad - at * stride),
  Math.min(window, length + pad - at * stride),
];

// Calls `visit` for each output pixel with its number, and for each with the taps inside: the number of the input pixel
// and that of the tap.
function windows(c, { height, width, pads: [padY, padX] }, start, visit, end) {
  for (let n = 0, pixel = 0; n < c.batch; n++) {
    for (let oy = 0; oy < c.out_height; oy++) {
      const [top, bottom] = inside(oy, { stride: c.stride, window: height, pad: padY, length: c.in_height });
      for (let ox = 0; ox < c.out_width; ox++, pixel++) {
        const [left, right] = inside(ox, { stride: c.stride, window: width, pad: padX, length: c.in_width });
        start(pixel);
        for (let ky = top; ky < bottom; ky++) {
          const row = (n * c.in_height + oy * c.stride + ky - padY) * c.in_width + ox * c.stride - padX;
          for (let kx = left; kx < right; kx++) visit(row + kx, ky * width + kx);
        }
        end(pixel);
      }
    }
  }
}

const pooled = (c) => ({ height: c.window_height, width: c.window_width, pads: [c.pad, c.pad] });

// The kernels that the plan of an embedding may have. Each takes its constants and its arguments.
export const KERNELS = {
  gather(c, bytes, rows, x) {
    const values = new Uint8Array(bytes.buffer, bytes.byteOffset, 4 * bytes.length);
    const means = [c.mean_0, c.mean_1, c.mean_2, c.mean_3],
      factors = [c.factor_0, c.factor_1, c.factor_2, c.factor_3];
    fill(x, (k) => {
      const row = Math.min(rows[Math.floor(k / c.pixels)], c.images - 1),
        channel = (k % c.channels) % 4;
      return (values[row * c.pixels + (k % c.pixels)] - means[channel]) * factors[channel];
    });
  },

  mirror(c, x, y) {
    const line = c.width * c.channels,
      image = c.height * line;
    for (let n = 0; n < c.batch; n++) {
      y.set(x.subarray(n * image, (n + 1) * image), 2 * n * image);
      for (let pixel = 0; pixel < c.height * c.width; pixel++) {
        const from = n * image + (pixel - (pixel % c.width) + c.width - 1 - (pixel % c.width)) * c.channels;
        y.set(x.subarray(from, from + c.channels), (2 * n + 1) * image + pixel * c.channels);
      }
    }
  },

  conv2d_pool(c, x, w, b, y, argmax) {
    const channels = c.out_channels,
      z = new Float32Array(c.batch * c.out_height * c.out_width * channels);
    KERNELS.conv2d({ ...c, activation: 0 }, x, w, b, z);
    const windows = { window_height: 2, window_width: 2, stride: 2, pad: 0, channels },
      image = { in_height: c.out_height, in_width: c.out_width },
      [out_height, out_width] = [c.out_height, c.out_width].map((length) => Math.floor(length / 2));
    KERNELS.maxpool({ batch: c.batch, ...windows, ...image, out_height, out_width }, z, y, argmax);
    y.forEach((value, at) => (y[at] = ACTIVATIONS[c.activation](value)));
  },

  conv2d(c, x, w, b, y) {
    const activate = ACTIVATIONS[c.activation],
      outputs = c.out_channels;
    const inputs = c.in_channels / c.groups,
      own = outputs / c.groups,
      sums = new Float64Array(outputs);
    windows(
      c,
      { height: c.kernel_height, width: c.kernel_width, pads: [c.pad_y, c.pad_x] },
      () => sums.set(b),
      (pixel, tap) => {
        for (let g = 0; g < c.groups; g++) {
          for (let i = 0; i < inputs; i++) {
            const value = x[pixel * c.in_channels + g * inputs + i];
            const first = (tap * inputs + i) * outputs,
              end = (g + 1) * own;
            for (let o = g * own; o < end; o++) sums[o] += value * w[first + o];
          }
        }
      },
      (pixel) => {
        for (let o = 0; o < outputs; o++) y[pixel * outputs + o] = activate(sums[o]);
      },
    );
  },

  dense(c, x, w, b, y) {
    const activate = ACTIVATIONS[c.activation],
      sums = new Float64Array(c.outputs);
    for (let n = 0; n < c.rows; n++) {
      sums.set(b);
      for (let i = 0; i < c.inputs; i++) {
        const value = x[n * c.inputs + i],
          first = i * c.outputs;
        for (let o = 0; o < c.outputs; o++) sums[o] += value * w[first + o];
      }
      for (let o = 0; o < c.outputs; o++) y[n * c.outputs + o] = activate(sums[o]);
    }
  },

  maxpool(c, x, y, argmax) {
    const largest = y.fill(-Infinity);
    let at = 0;
    windows(
      c,
      pooled(c),
      (pixel) => {
        at = pixel * c.channels;
      },
      (pixel, tap) => {
        for (let k = 0; k < c.channels; k++) {
          if (x[pixel * c.channels + k] > largest[at + k]) {
            largest[at + k] = x[pixel * c.channels + k];
            argmax[at + k] = tap;
          }
        }
      },
      () => {},
    );
  },

  avgpool(c, x, y) {
    const sums = new Float64Array(c.channels);
    windows(
      c,
      pooled(c),
      () => sums.fill(0),
      (pixel) => {
        for (let k = 0; k < c.channels; k++) sums[k] += x[pixel * c.channels + k];
      },
      (pixel) => {
        for (let k = 0; k < c.channels; k++) y[pixel * c.channels + k] = sums[k] / (c.window_height * c.window_width);
      },
    );
  },

  mean(c, x, y) {
    fill(y, (k) => {
      const first = Math.floor(k / c.channels) * c.pixels * c.channels + (k % c.channels);
      let sum = 0;
      for (let p = 0; p < c.pixels; p++) sum += x[first + p * c.channels];
      return sum / c.pixels;
    });
  },

  act(c, x, y) {
    const activate = ACTIVATIONS[c.activation];
    fill(y, (k) => activate(x[k]));
  },

  map(c, x, y) {
    const value = FUNCTIONS[c.function];
    fill(y, (k) => value(x[k], c.factor));
  },

  prelu(c, x, w, y) {
    fill(y, (k) => (x[k] > 0 ? x[k] : w[k % c.channels] * x[k]));
  },

  add(c, a, b, y) {
    const activate = ACTIVATIONS[c.activation];
    fill(y, (k) => activate(a[k] + b[k]));
  },

  concat(c, a, b, y) {
    for (let pixel = 0; pixel < c.rows * c.pixels; pixel++) {
      y.set(a.subarray(pixel * c.left, (pixel + 1) * c.left), pixel * (c.left + c.right));
      y.set(b.subarray(pixel * c.right, (pixel + 1) * c.right), pixel * (c.left + c.right) + c.left);
    }
  },

  extend(c, x, y) {
    y.fill(0);
    for (let n = 0; n < c.rows; n++) {
      for (let i = 0; i < c.in_height; i++) {
        for (let j = 0; j < c.in_width; j++) {
          const from = ((n * c.in_height + i) * c.in_width + j) * c.in_channels;
          const to = ((n * c.out_height + i) * c.out_width + j) * c.out_channels;
          y.set(x.subarray(from, from + c.in_channels), to);
        }
      }
    }
  },

  moments(c, x, mean, variance) {
    const chunks = Math.max(c.sets, c.parts),
      groups = c.channels / c.width,
      pixels = (c.sets * c.inner) / chunks;
    for (let k = 0; k < chunks * groups; k++) {
      const first = Math.floor(k / groups) * pixels * c.channels + (k % groups) * c.width;
      const each = (term) => {
        let sum = 0;
        for (let i = 0; i < pixels; i++) {
          for (let j = 0; j < c.width; j++) sum += term(x[first + i * c.channels + j]);
        }
        return sum / (pixels * c.width);
      };
      const centre = each((value) => value);
      mean[k] = centre;
      variance[k] = each((value) => (value - centre) ** 2);
    }
  },

  normalise(c, x, mean, variance, gamma, beta, y) {
    const activate = ACTIVATIONS[c.activation],
      groups = c.channels / c.width;
    fill(y, (k) => {
      const channel = k % c.channels;
      const g = Math.floor(k / c.channels / c.inner) * groups + Math.floor(channel / c.width);
      const scale = gamma[channel] / Math.sqrt(variance[g] + c.epsilon);
      return activate((x[k] - mean[g]) * scale + beta[channel]);
    });
  },

  fold(c, w, gamma, beta, mean, variance, folded, bias) {
    const scale = Float64Array.from(gamma, (value, k) => value / Math.sqrt(variance[k] + c.epsilon));
    fill(folded, (k) => w[k] * scale[k % c.channels]);
    fill(bias, (k) => beta[k] - mean[k] * scale[k]);
  },

  l2norm(c, x, y, norm) {
    for (let n = 0; n < c.rows; n++) {
      const row = x.subarray(n * c.dims, (n + 1) * c.dims);
      const length = Math.max(Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)), 1e-12);
      for (let d = 0; d < c.dims; d++) y[n * c.dims + d] = row[d] / length;
      norm[n] = length;
    }
  },
};

// Runs a plan, as `Runner` does on a WebGPU device.
export class Reference {
  // `values` has the first values of slots by their names; the others start as zeros.
  constructor(plan, values) {
    const unknown = plan.calls.find((call) => !KERNELS[call.kernel]);
    if (unknown) throw new Error(`this page has no JavaScript for the kernel ${unknown.kernel}`);
    const buffers = plan.buffers.map((bytes) => new ArrayBuffer(bytes));
    const array = ({ element, dims, buffer, offset }) => {
      const Values = element === "u32" ? Uint32Array : Float32Array;
      return new Values(
        buffers[buffer],
        offset,
        dims.reduce((product, side) => product * side, 1),
      );
    };
    this.plan = plan;
    this.slots = Object.fromEntries(Object.entries(plan.slots).map(([name, slot]) => [name, array(slot)]));
    for (const [name, first] of values) {
      if (name in this.slots) this.write(name, first);
    }
  }

  // Writes a slot from its beginning on.
  write(name, values) {
    const slot = this.slots[name];
    new Uint8Array(slot.buffer, slot.byteOffset, slot.byteLength).set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
  }

  // Runs the calls from `first` up to before `end`.
  run(first, end) {
    for (const { kernel, constants, args } of this.plan.calls.slice(first, end)) {
      KERNELS[kernel](constants, ...args.map((name) => this.slots[name]));
    }
  }

  // The values of a slot.
  async read(name) {
    return this.slots[name].slice();
  }
}
