// A gallery: identities with their embeddings, and the threshold under which a probe is one of them. Rules and file are
// those of `siamese enroll` and `siamese recognize` (`src/gallery/` in the program).

// Metadata entry of the safetensors file that holds the header.
const ENTRY = "siamese-gallery";
// Arrays of the file by the element type that it names.
const ARRAYS = { U64: BigUint64Array, F32: Float32Array, U32: Uint32Array, U8: Uint8Array };
const F32_MAX = 3.4028234663852886e38;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// SHA-256 as hexadecimal digits (FIPS 180-4). What browsers have of their own they withhold from pages by plain http.
export function sha256(bytes) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (root) => (prime) => (prime ** root % 1) * 2 ** 32;
  const constants = Uint32Array.from(primes, fraction(1 / 3)),
    state = Uint32Array.from(primes.slice(0, 8), fraction(1 / 2));
  const padded = new Uint8Array(64 * Math.ceil((bytes.length + 9) / 64)),
    view = new DataView(padded.buffer);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const turn = (x, bits) => (x >>> bits) | (x << (32 - bits)),
    words = new Uint32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    for (let t = 0; t < 16; t++) words[t] = view.getUint32(block + 4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [words[t - 15], words[t - 2]];
      words[t] =
        words[t - 16] +
        (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) +
        words[t - 7] +
        (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 64; t++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[t] + words[t]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, k) => {
      state[k] += value;
    });
  }
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}

// The distance of two embeddings, in 32 bits and in the program's order, so to the bit.
function between(kind, a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) {
    const difference = Math.fround(a[k] - b[k]);
    sum = Math.fround(sum + Math.fround(difference * difference));
  }
  return kind === "mean-square" ? Math.fround(sum / a.length) : sum;
}

// Why distances to an embedding mean nothing; undefined where they do.
function flaw(embedding) {
  const square = embedding.reduce((sum, value) => sum + value * value, 0);
  if (!Number.isFinite(square)) return "is not finite";
  return 4 * square >= F32_MAX ? "is so long that squared distances do not fit 32 bits" : undefined;
}

export class Gallery {
  // An empty gallery of a model, which a page's plan.json describes.
  constructor({ program, model, dims, distance }) {
    this.header = { version: program, model, dims, distance };
    this.identities = [];
    // Rows: an embedding, the number of its identity, and how many images it is the mean of.
    this.rows = [];
    // By content: what a picture is called, and the number of its identity.
    this.pictures = new Map();
    // Numbers of identities by the names of pictures of which no more is known.
    this.sources = {};
    // { distance, far }: far is the false accept rate that it was calibrated for, or null.
    this.threshold = null;
  }

  // Reads a gallery's file, which must be of the model.
  static read(bytes, model) {
    const { header, tensor } = parse(bytes);
    const gallery = new Gallery(model),
      { dims } = header;
    if (header.model !== model.model) {
      throw new Error(
        `it holds embeddings of the model ${header.model}, and this model is ${model.model}: ` +
          "their distances mean nothing to each other",
      );
    }
    if (dims !== model.dims || header.distance !== model.distance) {
      throw new Error(
        `its embeddings have ${dims} numbers and ${header.distance} distances, ` +
          `those of its model have ${model.dims} and ${model.distance}`,
      );
    }
    const [identity, images, embeddings] = [
      tensor("identity", "U32"),
      tensor("images", "U32"),
      tensor("embeddings", "F32"),
    ];
    if (images.length !== identity.length || embeddings.length !== identity.length * dims) {
      throw new Error(`it has ${identity.length} identities, ${images.length} counts and ${embeddings.length} numbers`);
    }
    identity.forEach((number, row) => {
      gallery.rows.push({
        embedding: embeddings.slice(row * dims, (row + 1) * dims),
        identity: number,
        images: images[row],
      });
    });
    if (tensor("picture.content", "U8", new Uint8Array()).length) {
      const [contents, names] = [tensor("picture.content", "U8"), tensor("picture.name", "U8")];
      const ends = tensor("picture.name_end", "U64");
      let start = 0;
      tensor("picture.identity", "U32").forEach((number, k) => {
        const end = Number(ends[k]),
          name = new TextDecoder().decode(names.subarray(start, end));
        gallery.pictures.set(hex(contents.subarray(32 * k, 32 * k + 32)), { name, identity: number });
        start = end;
      });
    }
    // Files from before pictures had tensors.
    Object.entries(header.pictures ?? {}).forEach(([content, picture]) => gallery.pictures.set(content, picture));
    gallery.sources = header.sources ?? {};
    gallery.threshold = header.threshold ?? null;
    gallery.identities = header.identities;
    gallery.check();
    return gallery;
  }

  // Refuses what contradicts itself, and unites identities whose names look the same.
  check() {
    const numbers = [...this.rows, ...this.pictures.values()]
      .map(({ identity }) => identity)
      .concat(Object.values(this.sources));
    const unknown = numbers.find((number) => !(number < this.identities.length));
    if (unknown !== undefined) throw new Error(`identity ${unknown} of ${this.identities.length} is named`);
    if (new Set(this.identities).size < this.identities.length) throw new Error("two of its identities have one name");
    const enrolled = new Set(this.rows.map(({ identity }) => identity));
    const bare = this.identities.find((_, number) => !enrolled.has(number));
    if (bare !== undefined) throw new Error(`its identity ${bare} has no embedding`);
    for (const [row, { embedding, images }] of this.rows.entries()) {
      const reason = flaw(embedding) ?? (images === 0 ? "is of no image" : undefined);
      if (reason) throw new Error(`its embedding ${row} ${reason}`);
    }
    if (this.threshold && !(this.threshold.distance >= 0))
      throw new Error(`its threshold is ${this.threshold.distance}`);
    const names = this.identities.map((name) => name.normalize("NFC")),
      united = [...new Set(names)];
    this.renumber(
      united,
      names.map((name) => united.indexOf(name)),
    );
  }

  // Gives identities other names and numbers.
  renumber(identities, numbers) {
    if (identities.length < this.identities.length) this.dropCalibration();
    this.identities = identities;
    for (const own of [...this.rows, ...this.pictures.values()]) own.identity = numbers[own.identity];
    for (const name of Object.keys(this.sources)) this.sources[name] = numbers[this.sources[name]];
  }

  // A threshold that was calibrated was so on the gallery as it was.
  dropCalibration() {
    if (this.threshold?.far != null) this.threshold = null;
  }

  // Whose picture this is, if it is enrolled: it is known by its content, of old galleries by its name.
  holder(name, content) {
    return this.identities[
      this.pictures.get(content)?.identity ?? (Object.hasOwn(this.sources, name) ? this.sources[name] : undefined)
    ];
  }

  // Adds the embedding of a picture, called `name`, to an identity. Answers whether it did: one that is enrolled is not
  // enrolled again.
  add(identity, name, content, embedding) {
    const reason = flaw(embedding);
    if (reason) throw new Error(`the embedding of ${name} ${reason}`);
    const composed = identity.normalize("NFC"),
      holder = this.holder(name, content);
    if (holder === composed) return false;
    if (holder !== undefined) {
      throw new Error(
        `${name} is enrolled as ${holder} already, under the name ${this.pictures.get(content)?.name ?? name}`,
      );
    }
    if (!this.identities.includes(composed)) this.identities.push(composed);
    const number = this.identities.indexOf(composed);
    this.dropCalibration();
    this.pictures.set(content, { name, identity: number });
    this.rows.push({ embedding: embedding.slice(), identity: number, images: 1 });
    return true;
  }

  // Takes an identity out.
  remove(identity) {
    const gone = this.identities.indexOf(identity);
    this.rows = this.rows.filter((row) => row.identity !== gone);
    this.pictures = new Map([...this.pictures].filter(([, picture]) => picture.identity !== gone));
    this.sources = Object.fromEntries(Object.entries(this.sources).filter(([, number]) => number !== gone));
    this.renumber(
      this.identities.filter((_, number) => number !== gone),
      this.identities.map((_, number) => number - (number > gone)),
    );
  }

  // Images enrolled of each identity.
  counts() {
    const counts = this.identities.map(() => 0);
    for (const { identity, images } of this.rows) counts[identity] += images;
    return counts;
  }

  // Identities by the distance of their nearest embeddings, the nearest first; of equally near ones the first enrolled.
  nearest(embedding) {
    const least = this.identities.map(() => Infinity);
    for (const row of this.rows) {
      const distance = between(this.header.distance, embedding, row.embedding);
      if (distance < least[row.identity]) least[row.identity] = distance;
    }
    return least
      .map((distance, number) => ({ distance, number }))
      .sort((a, b) => a.distance - b.distance || a.number - b.number);
  }

  admits(distance) {
    return this.threshold === null || distance <= Math.fround(this.threshold.distance);
  }

  // Who a probe is, as `siamese recognize --json` says it: `identity` is null of one who is unknown. An empty gallery
  // has no answer.
  recognise(embedding) {
    const [first, second] = this.nearest(embedding);
    if (!first) return null;
    const nearest = this.identities[first.number],
      margin = second ? Math.fround(second.distance - first.distance) : null;
    return { identity: this.admits(first.distance) ? nearest : null, nearest, distance: first.distance, margin };
  }

  // The gallery's file.
  write() {
    const { rows, identities, sources, threshold } = this,
      { dims } = this.header;
    const header = { ...this.header, identities, ...(Object.keys(sources).length ? { sources } : {}), threshold };
    const contents = [...this.pictures.keys()].sort(),
      pictures = contents.map((content) => this.pictures.get(content));
    const names = pictures.map(({ name }) => new TextEncoder().encode(name));
    let end = 0n;
    const ends = names.map((name) => (end += BigInt(name.length)));
    const joined = (Values, parts) => {
      const all = new Values(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    };
    const digits = contents.map((content) => Uint8Array.from(content.match(/../g), (byte) => parseInt(byte, 16)));
    // In the order that the program's crate has: wide elements first, then by name.
    return file({ [ENTRY]: JSON.stringify(header) }, [
      ["picture.name_end", "U64", [pictures.length], BigUint64Array.from(ends)],
      [
        "embeddings",
        "F32",
        [rows.length, dims],
        joined(
          Float32Array,
          rows.map((row) => row.embedding),
        ),
      ],
      ["identity", "U32", [rows.length], Uint32Array.from(rows, (row) => row.identity)],
      ["images", "U32", [rows.length], Uint32Array.from(rows, (row) => row.images)],
      ["picture.identity", "U32", [pictures.length], Uint32Array.from(pictures, (picture) => picture.identity)],
      ["picture.content", "U8", [pictures.length, 32], joined(Uint8Array, digits)],
      ["picture.name", "U8", [Number(end)], joined(Uint8Array, names)],
    ]);
  }
}

// A safetensors file of tensors, each [name, element type, dimensions, values].
function file(metadata, tensors) {
  let at = 0;
  const described = tensors.map(([name, dtype, shape, values]) => [
    name,
    { dtype, shape, data_offsets: [at, (at += values.byteLength)] },
  ]);
  const text = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(described) }));
  const start = 8 + 8 * Math.ceil(text.length / 8),
    bytes = new Uint8Array(start + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.fill(0x20, 8, start).set(text, 8);
  tensors.forEach(([, , , values], k) =>
    bytes.set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      start + described[k][1].data_offsets[0],
    ),
  );
  return bytes;
}

// The header of a gallery's file, and its tensors by name and type; one that may be missing has a `replacement`.
function parse(bytes) {
  let tensors, header, start;
  try {
    start = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    tensors = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)));
    header = tensors.__metadata__?.[ENTRY];
  } catch {
    throw new Error("it is no gallery file: `siamese enroll` and this page make such files");
  }
  if (header === undefined) throw new Error("it is a safetensors file, but no gallery: `siamese enroll` makes one");
  const tensor = (name, dtype, replacement) => {
    const found = tensors[name];
    if (!found && replacement) return replacement;
    if (found?.dtype !== dtype) throw new Error(`its ${name} is ${found?.dtype ?? "missing"}, expected ${dtype}`);
    const [from, to] = found.data_offsets.map((offset) => start + offset);
    if (!(to <= bytes.length)) throw new Error(`it is cut off: ${name} ends at byte ${to} of ${bytes.length}`);
    return new ARRAYS[dtype](bytes.slice(from, to).buffer);
  };
  return { header: JSON.parse(header), tensor };
}
