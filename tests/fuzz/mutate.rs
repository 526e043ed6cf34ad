//! Changes of files that are whole, each at the level of its structure: bytes, JSON, the two parts of a safetensors
//! file, the chunks of a PNG. A reader of checksums and lengths would otherwise refuse nearly everything at its door.

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Where readers go wrong.
const NUMBERS: [u64; 21] = [
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    32_767,
    32_768,
    65_535,
    65_536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];
const FLOATS: [f32; 8] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-42, -0.0, 1e20];
/// Words that a page or a terminal must not act upon, and words of our own formats.
const WORDS: [&str; 16] = [
    "",
    "</script><img src=x onerror=1>",
    "{{data}}",
    "a\tb\nc\u{1b}[31m\u{0}",
    "\u{202e}漢字é",
    "dense3 l2",
    "conv2 relu pool dense3 l2",
    "conv65536k255 dense65536 l2",
    "mean-square",
    "semi-hard",
    "F16",
    "F64",
    "U32",
    "nan",
    "-1",
    "1e999",
];
/// Files grow to no more than this.
const MOST_BYTES: usize = 1 << 21;

/// Chance, the same for the same case.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Of one case.
    pub fn new(seed: u64, target: &str, case: u64) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(
            target.bytes().fold(case, |stream, byte| (stream ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        );
        Dice(rng)
    }

    /// A number below `n`; 0 where there is none.
    pub fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64() as u8
    }

    /// A number that is more often at an edge than in the middle.
    pub fn number(&mut self) -> u64 {
        if self.one_in(2) { *self.pick(&NUMBERS) } else { self.below(100) as u64 }
    }

    /// A stretch of at most 64 of `n`, which are not none.
    fn stretch(&mut self, n: usize) -> std::ops::Range<usize> {
        let start = self.below(n);
        start..(start + 1 + self.below(64)).min(n)
    }
}

/// Several changes of bytes: flipped, cut off, put in, taken out, doubled, numbers to their edges, another file's end.
pub fn bytes(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    let most = if dice.one_in(4) { 24 } else { 4 };
    for _ in 0..dice.below(most) {
        byte_change(dice, file, others);
        file.truncate(MOST_BYTES);
    }
}

fn byte_change(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    let length = file.len();
    if length < 16 {
        file.push(dice.byte());
        return;
    }
    // The head is where the structure is.
    let place = if dice.one_in(2) { dice.below(length.min(64)) } else { dice.below(length) };
    match dice.below(11) {
        0 | 1 => file[place] = dice.byte(),
        2 => file[place] ^= 1 << dice.below(8),
        3 => file.truncate(place),
        4 => {
            let new: Vec<u8> = (0..dice.below(9)).map(|_| dice.byte()).collect();
            file.splice(place..place, new);
        }
        5 => {
            let (number, width) = (*dice.pick(&NUMBERS), *dice.pick(&[1, 2, 4, 8]));
            let place = place.min(length - width);
            let (small, big) = (number.to_le_bytes(), number.to_be_bytes());
            let number = if dice.one_in(2) { &small[..width] } else { &big[8 - width..] };
            file[place..place + width].copy_from_slice(number);
        }
        6 => drop(file.drain(dice.stretch(length))),
        7 => {
            let copy = file[dice.stretch(length)].to_vec();
            file.splice(place..place, copy);
        }
        8 => {
            let copy = file[dice.stretch(length)].to_vec();
            let end = (place + copy.len()).min(length);
            file[place..end].copy_from_slice(&copy[..end - place]);
        }
        9 => {
            let other = dice.pick(others);
            file.truncate(place);
            file.extend(&other[dice.below(other.len())..]);
        }
        // A number in a text.
        _ => {
            let digits: Vec<usize> = (0..length).filter(|&place| file[place].is_ascii_digit()).collect();
            if !digits.is_empty() {
                let place = *dice.pick(&digits);
                let number = dice.number().to_string();
                file.splice(place..place + 1, number.into_bytes());
            }
        }
    }
}

fn scalar(dice: &mut Dice) -> Value {
    match dice.below(10) {
        0 => Value::Null,
        1 => Value::Bool(dice.one_in(2)),
        2..5 => dice.number().into(),
        5 => (-(dice.below(1000) as i64)).into(),
        6 => json!(dice.pick(&[f64::MAX, -1e308, 1e39, 1e-320, 0.5, -0.0])),
        7 => json!([]),
        8 => json!({}),
        _ => (*dice.pick(&WORDS)).into(),
    }
}

/// One change of a value or of something in it. A text that holds JSON is changed as JSON.
pub fn tree(dice: &mut Dice, value: &mut Value) {
    let deeper = !dice.one_in(6);
    match value {
        Value::String(text) if text.starts_with('{') && deeper => {
            if let Ok(mut inner) = serde_json::from_str(text) {
                tree(dice, &mut inner);
                *text = inner.to_string();
            }
        }
        Value::Object(fields) if !fields.is_empty() && deeper => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let (key, other) = (dice.pick(&keys).clone(), dice.pick(&keys).clone());
            match dice.below(16) {
                0 => drop(fields.remove(&key)),
                1 => {
                    let copy = fields[&key].clone();
                    fields.insert(other, copy);
                }
                2 => {
                    let moved = fields.remove(&key).expect("it is one of them");
                    fields.insert(format!("{key}x"), moved);
                }
                _ => tree(dice, &mut fields[&key]),
            }
        }
        Value::Array(values) if !values.is_empty() && deeper => {
            let place = dice.below(values.len());
            match dice.below(8) {
                0 => drop(values.remove(place)),
                1 => values.push(values[place].clone()),
                2 => values.clear(),
                _ => tree(dice, &mut values[place]),
            }
        }
        Value::Number(number) if number.is_u64() && deeper => {
            let old = number.as_u64().unwrap_or_default();
            let near = [old.wrapping_add(1), old.saturating_sub(1), old.wrapping_mul(2), dice.number()];
            *value = (*dice.pick(&near)).into();
        }
        _ => *value = scalar(dice),
    }
}

/// A file of JSON, or of a line of JSON each.
pub fn json(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    if dice.one_in(3) {
        return bytes(dice, file, others);
    }
    let text = String::from_utf8(file.clone()).expect("a seed is UTF-8");
    if let Ok(mut value) = serde_json::from_str(&text) {
        (0..dice.below(4)).for_each(|_| tree(dice, &mut value));
        *file = value.to_string().into_bytes();
        return;
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..dice.below(5) {
        let place = dice.below(lines.len());
        match dice.below(6) {
            0 if lines.len() > 1 => drop(lines.remove(place)),
            1 => {
                let copy = lines[place].clone();
                lines.insert(dice.below(lines.len()), copy);
            }
            _ => {
                if let Ok(mut value) = serde_json::from_str(&lines[place]) {
                    tree(dice, &mut value);
                    lines[place] = value.to_string();
                }
            }
        }
    }
    *file = lines.join("\n").into_bytes();
}

/// A safetensors file: its JSON head, and the numbers behind it.
pub fn safetensors(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    if dice.one_in(4) {
        return bytes(dice, file, others);
    }
    let head = u64::from_le_bytes(file[..8].try_into().expect("8 bytes")) as usize;
    let mut json: Value = serde_json::from_slice(&file[8..8 + head]).expect("a seed has a head of JSON");
    let mut data = file[8 + head..].to_vec();
    (0..dice.below(4)).for_each(|_| tree(dice, &mut json));
    if dice.one_in(6) {
        let change = dice.below(data.len());
        data.resize(if dice.one_in(2) { change } else { data.len() + change }, 0);
    }
    if dice.one_in(3) && data.len() >= 4 {
        let place = 4 * dice.below(data.len() / 4);
        data[place..place + 4].copy_from_slice(&dice.pick(&FLOATS).to_le_bytes());
    }
    let json = json.to_string().into_bytes();
    *file = [&(json.len() as u64).to_le_bytes()[..], &json, &data].concat();
}

/// A field of a protocol buffer: its number with the type of what follows, and that.
struct Field {
    tag: u64,
    content: Content,
}

enum Content {
    Number(u64),
    /// Four or eight bytes.
    Fixed(Vec<u8>),
    /// A text, bytes or a message, whose length is written before it.
    Long(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The fields of a message; `None` where it is none.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let length = match tag & 7 {
            0 => {
                fields.push(Field { tag, content: Content::Number(varint(&mut bytes)?) });
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (content, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        let content = if tag & 7 == 2 { Content::Long(content.to_vec()) } else { Content::Fixed(content.to_vec()) };
        fields.push(Field { tag, content });
    }
    Some(fields)
}

fn message(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Field { tag, content } in fields {
        put_varint(&mut bytes, *tag);
        match content {
            Content::Number(number) => put_varint(&mut bytes, *number),
            Content::Fixed(content) => bytes.extend(content),
            Content::Long(content) => {
                put_varint(&mut bytes, content.len() as u64);
                bytes.extend(content);
            }
        }
    }
    bytes
}

/// One change in a message or in one within it; lengths are made right again.
fn message_change(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let Some(mut fields) = fields(bytes).filter(|fields| !fields.is_empty()) else {
        if dice.one_in(3) {
            *bytes = dice.pick(&WORDS).as_bytes().to_vec();
        } else {
            let own = bytes.clone();
            byte_change(dice, bytes, &[own]);
        }
        return;
    };
    let place = dice.below(fields.len());
    match dice.below(12) {
        0 => drop(fields.remove(place)),
        1 => {
            let other = dice.below(fields.len());
            fields.swap(place, other);
        }
        2 => {
            let other = dice.below(fields.len());
            let [from, to] = [place, other].map(|place| message(&fields[place..place + 1]));
            *bytes = [message(&fields), from, to].concat();
            return;
        }
        _ => match &mut fields[place].content {
            Content::Number(number) => *number = dice.number(),
            Content::Fixed(content) => {
                let float = dice.pick(&FLOATS).to_le_bytes();
                content.iter_mut().zip(float.into_iter().cycle()).for_each(|(own, new)| *own = new);
            }
            Content::Long(content) => message_change(dice, content),
        },
    }
    *bytes = message(&fields);
}

/// A file that is a protocol buffer: some of its fields, whatever lies around them.
pub fn protobuf(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    if dice.one_in(6) {
        return bytes(dice, file, others);
    }
    for _ in 0..1 + dice.below(3) {
        message_change(dice, file);
    }
    file.truncate(MOST_BYTES);
}

/// Packed with gzip, changed before or after.
pub fn gzip(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    let outside = dice.one_in(3);
    if !outside {
        bytes(dice, file, others);
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(file).expect("memory takes it");
    *file = packed.finish().expect("memory takes it");
    if outside {
        bytes(dice, file, others);
    }
}

/// A PNG: one of its chunks is changed, and its checksum made right again; the pixels while they are unpacked.
pub fn png(dice: &mut Dice, file: &mut Vec<u8>, others: &[Vec<u8>]) {
    if dice.one_in(4) {
        return bytes(dice, file, others);
    }
    let (mut chunks, mut rest) = (Vec::new(), &file[8..]);
    while let [a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (kind, after) = after.split_at(4);
        chunks.push((kind.to_vec(), after[..length].to_vec()));
        rest = &after[length + 4..];
    }
    let place = dice.below(chunks.len());
    let (kind, data) = &mut chunks[place];
    if kind == b"IDAT" && !dice.one_in(4) {
        let mut pixels = Vec::new();
        ZlibDecoder::new(data.as_slice()).read_to_end(&mut pixels).expect("a seed unpacks");
        bytes(dice, &mut pixels, others);
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&pixels).expect("memory takes it");
        *data = packed.finish().expect("memory takes it");
    } else if kind == b"IHDR" && dice.one_in(2) {
        // Width or height.
        let side = (*dice.pick(&[0, 1, 2, 255, 4096, 30_000, 32_768, 32_769, u32::MAX])).to_be_bytes();
        let start = 4 * dice.below(2);
        data[start..start + 4].copy_from_slice(&side);
    } else {
        byte_change(dice, data, others);
    }
    if dice.one_in(8) {
        let copy = chunks[place].clone();
        chunks.insert(dice.below(chunks.len()), copy);
    }
    file.truncate(8);
    for (kind, data) in chunks {
        let (mut sum, body) = (Crc::new(), [kind, data].concat());
        sum.update(&body);
        file.extend((body.len() as u32 - 4).to_be_bytes());
        file.extend(body);
        file.extend(sum.sum().to_be_bytes());
    }
}

/// A text of up to `most` words, some of which have a number behind them, with all kinds of space between.
pub fn text(dice: &mut Dice, words: &[&str], most: usize) -> String {
    let mut text = String::new();
    for _ in 0..1 + dice.below(most) {
        text += if dice.one_in(30) { *dice.pick(&WORDS) } else { *dice.pick(words) };
        match dice.below(8) {
            0 => text.push_str(&dice.number().to_string()),
            1 => text += *dice.pick(&["99999999999999999999999", "-1", "nan", "inf", "1e38", "0.5", "١", "+3"]),
            2..6 => text.push_str(&(1 + dice.below(9)).to_string()),
            _ => {}
        }
        text += *dice.pick(&[" ", " ", " ", "", ",", "x", "=", "/", "-", "\t", "\u{3000}", "\n"]);
    }
    text
}
