// Pictures as people have them, brought to a network's input by the rules that training, enrolment and recognition have
// (`src/data/pictures.rs` in the program). A picture here is { width, height, data }: RGBA, the colours not multiplied
// by the opacity.

// What shows where a picture is transparent, and beside it, as the network sees it.
const GROUNDS = { black: 0, grey: 128, white: 255 };
// Weights of red, green and blue in luma (Rec. 709, to the white that the program has).
const LUMA = [0.212648, 0.715179, 0.072173];
// Pixels that a picture may have.
const MOST_PIXELS = 2 ** 26;

function surface(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  // Pixels are read back: what a graphics card scales or smooths would not be the same everywhere.
  return canvas.getContext("2d", { willReadFrequently: true });
}

function pixels(context) {
  const { width, height } = context.canvas;
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

// Rule 1: a file's picture, upright, its colours as they are stored.
export async function decode(file, name) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error(`${name} is no picture that this browser can read`);
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS)
    throw new Error(`${name} has ${width} × ${height} pixels, more than ${MOST_PIXELS}`);
  const context = surface(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return pixels(context);
}

// What a camera shows: the middle of it, in the proportions of the input.
export function frame(video, input) {
  const scale = Math.min(video.videoWidth / input.width, video.videoHeight / input.height);
  const [wide, high] = [Math.round(input.width * scale), Math.round(input.height * scale)];
  const context = surface(wide, high);
  context.drawImage(video, (wide - video.videoWidth) / 2, (high - video.videoHeight) / 2);
  return pixels(context);
}

// The paper that a network's pictures are on, and the ink that shows on it: two greys.
export function paper(input) {
  const ground = GROUNDS[input.ground],
    own = input.invert ? 255 - ground : ground;
  return { paper: own, ink: own > 128 ? 0 : 255 };
}

// Draws strokes, each a list of points, with a pen so thick. A point alone is a dot.
export function draw(context, strokes, thickness) {
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = thickness;
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...point);
    context.stroke();
  }
}

// A drawing as a picture, several times the input's size. As the digits of MNIST it is brought to one size, its longer
// side 5/7 of the picture's, with its centre of mass in the middle, and drawn with a pen of one thickness: what is
// drawn small in a corner is seen as what is drawn large.
export function drawing(strokes, input) {
  const times = 8,
    size = [input.width, input.height].map((side) => times * side),
    pen = Math.min(...size) / 11;
  const all = strokes.flat(),
    sides = [0, 1];
  const low = sides.map((k) => Math.min(...all.map((p) => p[k]))),
    high = sides.map((k) => Math.max(...all.map((p) => p[k])));
  const room = size.map((side) => (side * 5) / 7 - pen);
  // A dot does not become a picture's whole.
  const scale = Math.min(...sides.map((k) => room[k] / Math.max(high[k] - low[k], 0.1)));
  let weight = 0;
  const sum = [0, 0];
  for (const stroke of strokes) {
    stroke.forEach((point, at) => {
      const last = stroke[Math.max(at - 1, 0)],
        length = Math.hypot(point[0] - last[0], point[1] - last[1]) + 1e-6;
      weight += length;
      for (const k of sides) sum[k] += (length * (point[k] + last[k])) / 2;
    });
  }
  // All of it stays on the picture, however far from its middle the mass is.
  const start = sides.map((k) => {
    const wanted = size[k] / 2 - (scale * sum[k]) / weight,
      [first, last] = [pen / 2 - scale * low[k], size[k] - pen / 2 - scale * high[k]];
    return Math.min(Math.max(wanted, first), last);
  });
  const context = surface(...size),
    { paper: ground, ink } = paper(input);
  context.fillStyle = `rgb(${ground} ${ground} ${ground})`;
  context.fillRect(0, 0, ...size);
  context.strokeStyle = `rgb(${ink} ${ink} ${ink})`;
  draw(
    context,
    strokes.map((stroke) => stroke.map((p) => sides.map((k) => start[k] + scale * p[k]))),
    pen,
  );
  return pixels(context);
}

// Rules 2 to 5: a picture as the input [height, width, channels].
export function prepare({ width, height, data }, input) {
  const { channels } = input,
    ground = GROUNDS[input.ground],
    below = input.invert ? 255 - ground : ground;
  const values = new Uint8Array(width * height * channels),
    opaque = [0, 0, 0];
  for (let pixel = 0; pixel < width * height; pixel++) {
    const opacity = data[4 * pixel + 3];
    for (let k = 0; k < 3; k++) opaque[k] = Math.floor((data[4 * pixel + k] * opacity + below * (255 - opacity)) / 255);
    const luma = Math.round(LUMA[0] * opaque[0] + LUMA[1] * opaque[1] + LUMA[2] * opaque[2]);
    for (let k = 0; k < channels; k++) {
      const value = channels === 1 ? luma : opaque[k];
      values[pixel * channels + k] = input.invert ? 255 - value : value;
    }
  }
  return fit({ width, height, values }, input, ground);
}

// Rule 5.
function fit(picture, input, ground) {
  const { width, height, values } = picture;
  if (width === input.width && height === input.height) return values;
  const scale = Math.min(input.width / width, input.height / height);
  const side = (length, most) => Math.min(Math.max(Math.round(length * scale), 1), most);
  const [wide, high] = [side(width, input.width), side(height, input.height)],
    { channels } = input;
  // Columns first: that is how the program's crate scales bytes, and each way rounds.
  const columns = scaled(values, { outer: 1, length: height, inner: width * channels }, high);
  const both = scaled(columns, { outer: high, length: width, inner: channels }, wide);
  const all = new Uint8Array(input.width * input.height * channels).fill(ground);
  const [left, top] = [Math.floor((input.width - wide) / 2), Math.floor((input.height - high) / 2)];
  for (let y = 0; y < high; y++) {
    all.set(both.subarray(y * wide * channels, (y + 1) * wide * channels), ((top + y) * input.width + left) * channels);
  }
  return all;
}

// [outer, length, inner] to [outer, wanted, inner]: each value the mean of those it covers, weighted by a triangle, in
// whole numbers.
function scaled(values, { outer, length, inner }, wanted) {
  if (wanted === length) return values;
  const { bits, weights } = triangles(length, wanted);
  const result = new Uint8ClampedArray(outer * wanted * inner),
    sums = new Int32Array(inner);
  for (let n = 0; n < outer; n++) {
    for (let at = 0; at < wanted; at++) {
      const { first, factors } = weights[at];
      sums.fill(1 << (bits - 1));
      for (let tap = 0; tap < factors.length; tap++) {
        const from = (n * length + first + tap) * inner,
          factor = factors[tap];
        for (let k = 0; k < inner; k++) sums[k] += factor * values[from + k];
      }
      for (let k = 0; k < inner; k++) result[(n * wanted + at) * inner + k] = sums[k] >> bits;
    }
  }
  return result;
}

// The weights that make `wanted` values of `length`, times 2^bits, with as many bits as 16 have room for.
function triangles(length, wanted) {
  const scale = length / wanted,
    radius = Math.max(scale, 1);
  const shares = Array.from({ length: wanted }, (_, at) => {
    const centre = (at + 0.5) * scale,
      end = Math.min(Math.ceil(centre + radius), length);
    let first = Math.max(Math.floor(centre - radius), 0);
    const weight = (x) => Math.max(1 - Math.abs((x - (centre - 0.5)) * (1 / radius)), 0);
    while (first < end && weight(first) === 0) first++;
    const own = Array.from({ length: end - first }, (_, tap) => weight(first + tap));
    const sum = own.reduce((a, b) => a + b, 0);
    return { first, own: own.map((share) => share / sum) };
  });
  const most = Math.max(...shares.flatMap(({ own }) => own));
  let bits = 0;
  while (bits < 21 && Math.round(most * 2 ** (bits + 1)) < 2 ** 15) bits++;
  return {
    bits,
    weights: shares.map(({ first, own }) => ({ first, factors: own.map((w) => Math.round(w * 2 ** bits)) })),
  };
}
