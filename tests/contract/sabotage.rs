//! The harness is tested: shaders that are broken on purpose go through the same comparison as the sound ones, and it
//! must fail. First mechanically, for every argument of every shader of the registry; then by hand, for the mistakes
//! one makes. (Kernels are proven sound in `tests/kernels/`; here each sound shader only has to pass where its broken
//! twin fails, so that the edit is what made the difference.)

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use siamese::check::{self, Case, Expected, Report};
use siamese::gpu::Device;
use siamese::host::Array;
use siamese::kernel::{Access, At, Needs, ShaderAt};
use siamese::kernels::{self, Activation, Dense, DenseShape, MaxPool, Mine, MineShape, PoolShape};

thread_local! {
    /// One for each test: software Vulkan compiles in the one thread of a device's queue.
    static DEVICE: Arc<Device> = crate::common::device_with_matrices();
}

/// The cases of the registry, with what is expected of each, once for all shaders.
static CASES: LazyLock<Mutex<HashMap<At, Arc<Case>>>> = LazyLock::new(Mutex::default);

fn check_shader(at: &At, shader: &ShaderAt) -> Report {
    let known = CASES.lock().unwrap().get(at).cloned();
    let case = known.unwrap_or_else(|| {
        let case = Arc::new(Case::new(at, 1));
        CASES.lock().unwrap().insert(at.clone(), case.clone());
        case
    });
    DEVICE.with(|device| case.shader(device, shader)).unwrap_or_else(|error| panic!("{at} [{}]: {error}", shader.name))
}

/// A shader of the registry that the device runs, with the cases it is made for and the shader at each.
type Cases = (&'static str, Vec<(At, ShaderAt)>);

/// The shaders that multiply by cooperative matrices, or all others: few adapters have matrices, and
/// `scripts/matrices.sh` proves their shaders on one that has.
fn shaders(by_matrices: bool) -> Vec<Cases> {
    let features = DEVICE.with(|device| device.features());
    if by_matrices && features.matrices.is_empty() {
        DEVICE.with(|device| eprintln!("{} has no cooperative matrices to break", device.report().title()));
    }
    let mut all = Vec::new();
    for entry in kernels::all() {
        for name in entry.shaders {
            let cases: Vec<_> = entry
                .cases
                .iter()
                .flat_map(|at| at.shaders().into_iter().map(|shader| (at.clone(), shader)))
                .filter(|(_, shader)| shader.name == name && features.offer(shader))
                .filter(|(_, shader)| matches!(shader.needs, Needs::Matrices(_)) == by_matrices)
                .collect();
            if !cases.is_empty() {
                all.push((name, cases));
            }
        }
    }
    all
}

/// Whether some case catches the shader that `edit` breaks. The sound one must pass there.
fn caught(cases: &[(At, ShaderAt)], edit: impl Fn(&ShaderAt) -> ShaderAt) -> bool {
    cases.iter().any(|(at, sound)| {
        let broken = check_shader(at, &edit(sound));
        if !broken.passed() {
            let report = check_shader(at, sound);
            assert!(report.passed(), "the sound shader fails too: {report}");
        }
        !broken.passed()
    })
}

/// The text with `name[…]` turned into `name[1u + …]`, wherever that array is meant.
fn shifted(source: &str, name: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some(place) = rest.find(&format!("{name}[")) {
        let whole = !rest[..place].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        text.push_str(&rest[..place + name.len() + 1]);
        text.push_str(if whole { "1u + " } else { "" });
        rest = &rest[place + name.len() + 1..];
    }
    text + rest
}

fn shifts_are_caught(shaders: Vec<Cases>) {
    assert_eq!(shifted("dx[i] = x[i] + my_x[x[0]];", "x"), "dx[i] = x[1u + i] + my_x[x[1u + 0]];");
    let mut missed = Vec::new();
    for (name, cases) in shaders {
        for arg in cases[0].0.args() {
            let edit = |shader: &ShaderAt| {
                let source = shifted(&shader.source, arg.name);
                assert_ne!(source, shader.source, "{name} never indexes `{}`", arg.name);
                ShaderAt { source, ..shader.clone() }
            };
            if !caught(&cases, edit) {
                missed.push(format!("{name}: `{}` may be off by one", arg.name));
            }
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

#[test]
fn an_argument_shifted_by_one_is_caught_in_every_shader() {
    shifts_are_caught(shaders(false));
}

#[test]
fn an_argument_shifted_by_one_is_caught_in_every_shader_by_matrices() {
    shifts_are_caught(shaders(true));
}

fn other_counts_of_workgroups_are_caught(shaders: Vec<Cases>) {
    let mut faults = Vec::new();
    for (_, cases) in shaders {
        for (at, shader) in cases {
            if shader.groups > 1 {
                let report = check_shader(&at, &ShaderAt { groups: shader.groups - 1, ..shader.clone() });
                if report.passed() {
                    faults.push(format!("{report}, with its last workgroup left out"));
                }
            }
            // Folding a long grid into two dimensions rounds it up.
            let report = check_shader(&at, &ShaderAt { groups: shader.groups + 3, ..shader });
            if !report.passed() {
                faults.push(format!("{report}, with three workgroups too many"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_workgroup_too_few_is_caught_and_some_too_many_do_no_harm() {
    other_counts_of_workgroups_are_caught(shaders(false));
}

#[test]
fn a_workgroup_too_few_is_caught_and_some_too_many_do_no_harm_by_matrices() {
    other_counts_of_workgroups_are_caught(shaders(true));
}

/// Shader, what is broken, the text that is replaced, its replacement.
const SABOTAGES: &[(&str, &str, &str, &str)] = &[
    ("gather", "bytes in the other order", "8u * (byte % 4u)", "24u - 8u * (byte % 4u)"),
    ("gather", "missing factor", ") * vec4f(factor_0, factor_1, factor_2, factor_3)[c]", ")"),
    ("gather", "missing mean", "(byte - vec4f(mean_0, mean_1, mean_2, mean_3)[c])", "byte"),
    ("gather", "another channel", "index % channels", "index % pixels"),
    ("gather", "byte not cut out of its word", " & 0xffu", ""),
    ("gather", "swapped dimensions", "rows[index / pixels]", "rows[index % batch]"),
    ("gather", "row number out of range", "min(rows[index / pixels], images - 1u)", "rows[index / pixels]"),
    ("conv2d", "dropped first term", "var i = 0u; i < inputs", "var i = 1u; i < inputs"),
    ("conv2d", "dropped last tap", "ky < kernel_height", "ky + 1u < kernel_height"),
    ("conv2d", "missing bias", "var sum = b[o];", "var sum = 0.0;"),
    ("conv2d", "missing activation", "activate(sum)", "sum"),
    ("conv2d", "wrong activation", "return max(z, 0.0);", "return max(z, 0.01 * z);"),
    ("conv2d", "missing border test", "if ix >= in_width {", "if false {"),
    ("conv2d", "border off by one", "if iy >= in_height {", "if iy > in_height {"),
    ("conv2d", "missing padding", "ox * stride + kx - pad_x", "ox * stride + kx"),
    ("conv2d", "missing stride", "oy * stride + ky - pad_y", "oy + ky - pad_y"),
    ("conv2d", "swapped dimensions", "(tap + i) * out_channels + o", "(tap + o) * out_channels + i"),
    ("conv2d", "unwritten tail", "if index >= batch", "if index + 1u >= batch"),
    ("conv2d", "overrun", "if index >= batch", "if index > batch"),
    ("conv2d", "the first group's inputs for all", "* in_channels + first;", "* in_channels;"),
    ("conv2d.depthwise", "missing border test", "if ix < in_width {", "if true {"),
    ("conv2d.depthwise", "swapped taps", "(ky * kernel_width + kx)", "(kx * kernel_height + ky)"),
    ("conv2d.subgroup8", "missing border mask", "mask.z * four_stored(x[at.z + i])", "four_stored(x[at.z + i])"),
    (
        "conv2d.subgroup8",
        "swapped operands",
        "four(w[v + 2u * width]), four(w[v + 3u * width])",
        "four(w[v + 3u * width]), four(w[v + 2u * width])",
    ),
    ("conv2d.subgroup8", "missing bias", "b[column] + values", "values"),
    (
        "conv2d.subgroup8",
        "wrong lane",
        "multiply_add(tile[31], subgroupBroadcast(a3, 7u)",
        "multiply_add(tile[31], subgroupBroadcast(a3, 6u)",
    ),
    ("conv2d.subgroup8", "unwritten row of the tile", "store_row(row + 31u, tile[31]);", ""),
    ("conv2d.subgroup8", "rows overrun", "pixel < output_count() && ", ""),
    ("conv2d.subgroup8_scalar", "dropped first term", "var i = 0u; i < in_channels", "var i = 1u; i < in_channels"),
    ("conv2d.subgroup8_scalar", "columns overrun", " && column < out_channels / 4u", ""),
    ("conv2d.registers", "missing border mask", "n.w * vec4f(x[q.w + i])", "vec4f(x[q.w + i])"),
    ("conv2d.registers", "border off by one", "iy < vec4u(in_height)", "iy <= vec4u(in_height)"),
    ("conv2d.registers", "right columns as left ones", "let r = l + step;", "let r = l;"),
    ("conv2d.registers", "unwritten row of the tile", "store_part(row + 7u, column + 1u, sums[15]);", ""),
    ("conv2d.registers", "columns overrun", " && column < out_channels / 4u", ""),
    ("conv2d.registers_scalar", "dropped first term", "var i = 0u; i < in_channels", "var i = 1u; i < in_channels"),
    ("conv2d.registers_scalar", "wrong row", "fma(vec4f(lower.z), right", "fma(vec4f(lower.y), right"),
    ("conv2d.taps", "missing border test", "line_inside[line] && ", ""),
    (
        "conv2d.taps",
        "wrong line of a window",
        "1u * stride + t / kernel_width, 1u * stride",
        "0u * stride + t / kernel_width, 1u * stride",
    ),
    ("conv2d.taps", "columns behind the last", "at.z + 1u < out_width", "true"),
    ("conv2d.taps", "one input channel for all", "line_at[line] + i +", "line_at[line] +"),
    ("conv2d_dx", "dropped first term", "var o = 0u; o < outputs", "var o = 1u; o < outputs"),
    ("conv2d_dx", "quotients that are not whole", "sx % stride != 0u || ", ""),
    ("conv2d_dx", "missing border test", " || sy / stride >= out_height", ""),
    ("conv2d_dx", "kernel not turned round", "let sy = iy + pad_y - ky;", "let sy = iy + ky - pad_y;"),
    ("conv2d_dx", "swapped dimensions", "(ky * kernel_width + kx) * inputs", "(kx * kernel_width + ky) * inputs"),
    ("conv2d_dx", "the first group's outputs for all", "let first = i / inputs * outputs;", "let first = 0u;"),
    ("conv2d_dx.depthwise", "quotients that are not whole", "sx % stride == 0u && ", ""),
    ("conv2d_dx.subgroup8", "operand not transposed", "let q = transpose(mat4x4f(", "let q = (mat4x4f("),
    ("conv2d_dx.registers", "kernel not turned round", "in_width + pad_x - kx;", "in_width - pad_x + kx;"),
    ("conv2d_dx.registers", "operand not transposed", "p[0], p[1], p[2], p[3]", "p[0], p[2], p[1], p[3]"),
    ("conv2d_dx.registers", "quotients that are not whole", "let inside = whole & ", "let inside = "),
    (
        "conv2d_dx.subgroup8",
        "taps of another phase",
        "let sy = phase / stride + pad_y",
        "let sy = phase % stride + pad_y",
    ),
    (
        "conv2d_dw.registers",
        "wrong tap",
        "let ky = plane / kernel_width % kernel_height;",
        "let ky = plane % kernel_width;",
    ),
    ("conv2d_dw.registers", "lower rows as upper ones", "vec4f(x[a + lower])", "vec4f(x[a + row])"),
    ("conv2d.block", "one border for both", "vec4u(1u << tap), line & column)", "vec4u(1u << tap), line)"),
    ("conv2d.block", "missing padding", "output_x(pixel) * stride - pad_x", "output_x(pixel) * stride"),
    ("conv2d.block", "columns overrun", " && column < out_channels / 4u", ""),
    ("conv2d.block", "swapped taps", "tap / kernel_width * (in_width", "tap % kernel_width * (in_width"),
    ("conv2d.block", "one tap for all terms", "depth % (BLOCK_TERMS / 4u) == 0u", "true"),
    ("conv2d.block32", "wrong step of columns", "s * BLOCK_STEP + lane / BLOCK_ACROSS", "s * BLOCK_STEP + lane / 4u"),
    ("conv2d.block32", "rows overrun", "pixel < output_count() && ", ""),
    (
        "conv2d_dx.block",
        "swapped operands",
        "w[at + out_channels], w[at + 2u * out_channels]",
        "w[at + 2u * out_channels], w[at + out_channels]",
    ),
    ("conv2d_dx.block", "kernel not turned round", "first - (ky / stride", "first + (ky / stride"),
    ("conv2d_dx.block", "pixels left in the order of phases", "dx[pixel_at(row) *", "dx[row *"),
    ("conv2d_dx.block", "terms that meet no pixel", "(y % stride == vec4u(ky % stride)) & ", ""),
    ("conv2d_dx.block32", "terms left out", "tap_meets(row, row + BLOCK_ROWS - 1u,", "tap_meets(row, row,"),
    ("conv2d_dw.block", "images left out", "chunk = (batch + splits - 1u) / splits", "chunk = batch / splits"),
    ("conv2d_dw.block", "missing stride", "let ix2 = ox * stride + tap_x;", "let ix2 = ox + tap_x;"),
    ("conv2d_dw.block", "pixels of the next split", "last3 < end && ", ""),
    ("conv2d_dw.block", "the next line not begun", "ox = select(ox, 0u, right2);", ""),
    ("conv2d_dw.block32", "the next image not begun", "oy = select(oy, 0u, below1);", ""),
    ("conv2d_dw.taps", "a neighbour in the next line", "ox + 1u < out_width", "true"),
    ("conv2d_dw.taps", "missing border test", "iy < in_height && ", ""),
    ("conv2d_dw.taps", "lines left out", "first += lines", "first += lines + 1u"),
    ("conv2d_dw.taps", "part of the threads left out", "half >= 4u", "half >= 8u"),
    ("conv2d_dw.taps", "last chunk runs on", "min((split + 1u) * chunk, batch)", "(split + 1u) * chunk"),
    (
        "distances.block",
        "products",
        "let d = vec4f(a) - b;\n    return fma(d, d, sum);",
        "return fma(vec4f(a), b, sum);",
    ),
    ("distances.block", "terms behind the last", "dims % BLOCK_TERMS == 0u || start + k < dims", "true"),
    ("distances.slices", "terms behind the last", "|| first + q < dims / 4u", "|| true"),
    ("dense.block", "dropped last terms", "start < terms; start", "start + BLOCK_TERMS < terms; start"),
    (
        "dense.block",
        "wrong term of a block",
        "add_terms(upper5, lower5, left5, right5)",
        "add_terms(upper5, lower5, left4, right5)",
    ),
    ("dense.block", "rows not turned over", "transpose(mat4x4f(a0, a1, a2, a3))", "mat4x4f(a0, a1, a2, a3)"),
    (
        "dense.block",
        "wrong half of a block",
        "store_part(r + BLOCK_ROWS / 2u + 1u, c, ",
        "store_part(r + BLOCK_ROWS / 2u + 2u, c, ",
    ),
    ("dense.block", "missing bias", "b[column] + values", "values"),
    ("dense.slices", "a slice left out", "var half = 8u; half", "var half = 4u; half"),
    ("dense.slices", "sums of one half alone", "slices_join(lane, 16u * half, 8u);", ""),
    ("dense.slices", "columns of the other half", "column + 4u + j % 4u);", "column + j % 4u);"),
    ("dense_dx.block", "wrong column of a thread", "lane / BLOCK_TERMS);", "lane % BLOCK_TERMS);"),
    ("dense_dx.slices", "rows overrun", "row < rows && ", ""),
    ("dense_dw.block", "rows past the last whole chunk left out", "(rows + splits - 1u) / splits", "rows / splits"),
    ("dense_dw.block", "rows of the next split", "inside = n < vec4u(end);", "inside = n < vec4u(rows);"),
    ("conv2d.matrix8", "a strip left out", "if strip < STRIPS {", "if strip + 1u < STRIPS {"),
    ("conv2d.matrix8", "one tap for all terms", "depth % (BLOCK_TERMS / 4u) == 0u", "true"),
    ("conv2d.matrix8", "wrong tile", "coopStoreT(sums[5],", "coopStoreT(sums[1],"),
    ("conv2d_pool.matrix8", "rows overrun", "pixel < output_count() && ", ""),
    ("conv2d_dx.matrix8", "rows turned over", "upper = coopLoadT<TileOfRows>", "upper = coopLoad<TileOfRows>"),
    ("conv2d_dx.matrix8", "not scaled back", " / (ROWS_SCALE * COLUMNS_SCALE)", ""),
    ("conv2d_dw.matrix8", "upper rows for lower ones", "k * A_BY_ROWS + row + TILE]", "k * A_BY_ROWS + row]"),
    ("conv2d_dw.matrix16", "pixels of the next split", "last3 < end && ", ""),
    ("dense.matrix8", "dropped last terms", "start < terms; start", "start + BLOCK_TERMS < terms; start"),
    ("dense_dx.matrix8", "terms for columns", "k = lane % BLOCK_TERMS;", "k = lane / BLOCK_APART;"),
    ("dense_dw.matrix8", "a tile of terms left out", "k += TILE", "k += 2u * TILE"),
    ("mine_dx.tree", "one direction of a pair", "there + back", "there"),
    ("mine_dx.tree", "rows behind the last", "select(vec4f(0.0), there + back, at < vec4u(rows))", "there + back"),
    ("mine_dx.tree", "part of the threads left out", "half >= across", "half > across"),
    ("sum_rows.tree", "rows of the next split", "select(vec4f(0.0), x2, inside.z)", "x2"),
    ("sum_rows.tree", "part of the threads left out", "half >= across", "half > across"),
    ("sum_rows.tree_scalar", "columns overrun", " && c < columns", ""),
    ("conv2d_dw", "images past the last whole chunk left out", "(batch + splits - 1u) / splits", "batch / splits"),
    ("conv2d_dw", "last chunk runs on", "min((s + 1u) * chunk, batch)", "(s + 1u) * chunk"),
    ("conv2d_dw", "dropped first row", "var oy = 0u", "var oy = 1u"),
    ("conv2d_dw", "missing border test", "if ix >= in_width {", "if false {"),
    ("conv2d_dw", "swapped operands", "out_channels + o];", "out_channels + i];"),
    ("conv2d_dw", "the first group's inputs for all", "* in_channels + first + i", "* in_channels + i"),
    ("conv2d_dw.depthwise", "wrong tap", "let kx = index / width % kernel_width;", "let kx = 0u;"),
    ("conv2d_dw.subgroup8", "dropped image of a chunk", "vec3u(split * chunk,", "vec3u(split * chunk + 1u,"),
    (
        "conv2d_dw.subgroup8",
        "outputs past the last counted",
        "mask.w * four_stored(x[at_x.w])",
        "four_stored(x[at_x.w])",
    ),
    ("conv2d_dw.subgroup8", "border off by one", "max(pad, k) - k", "max(pad, k)"),
    ("conv2d_dw.subgroup8_taps", "pixels counted twice", "pixel >= start && ", ""),
    ("conv2d_dw.subgroup8_taps", "unwritten tap", "k < min(9u, weights - first)", "k < min(8u, weights - first)"),
    ("conv2d_pool", "the last of equal maxima", "sum > largest", "sum >= largest"),
    ("conv2d_pool", "nothing below zero", "sum > largest || k == 0u", "sum > largest"),
    (
        "conv2d_pool",
        "swapped places of a window",
        "2u * oy + k / 2u, 2u * ox + k % 2u",
        "2u * oy + k % 2u, 2u * ox + k / 2u",
    ),
    ("conv2d_pool", "missing bias", "b[o] + largest", "largest"),
    ("conv2d_pool.registers", "the last of equal maxima", "values > largest", "values >= largest"),
    ("conv2d_pool.registers_scalar", "columns overrun", " && column < out_channels / 4u", ""),
    ("conv2d_pool.taps", "the last of equal maxima", "largest > upper", "largest >= upper"),
    ("conv2d_pool.taps", "windows overrun", "if at.x < batch {", "if true {"),
    ("conv2d_pool.block", "the maximum of the window before", " | vec4<bool>(k == 0u)", ""),
    ("conv2d_pool.block", "swapped places of a window", "pixel / 2u % 2u", "pixel % 2u"),
    ("conv2d_pool.block32", "rows overrun", "pixel < output_count() && ", ""),
    ("conv2d_pool.subgroup8", "missing bias", "b[column] + largest", "largest"),
    ("conv2d_pool.subgroup8_scalar", "a window begun in the middle", "if k == 3u", "if k == 2u"),
    ("conv2d_pool_dw", "wrong pixel of a window", "q / 2u) * stride", "q % 2u) * stride"),
    ("conv2d_pool_dw", "images left out", "(batch + splits - 1u) / splits", "batch / splits"),
    ("conv2d_pool_dw", "missing border test", " && ix < in_width", ""),
    ("conv2d_pool_dw.taps", "argmax ignored", "select(vec4f(0.0), d, p == vec4u(3u))", "d"),
    (
        "conv2d_pool_dw.subgroup8_taps",
        "a window behind the last",
        "let inside = window < windows;",
        "let inside = true;",
    ),
    ("conv2d_pool_dw.subgroup8_taps", "argmax ignored", "select(none, e, q == vec4u(3u))", "e"),
    ("conv2d_pool_dw.subgroup8_taps", "unwritten tap", "k < min(9u, weights - first)", "k < min(8u, weights - first)"),
    ("conv2d.winograd8", "pixel of another lane", "select(subgroupShuffleUp(c2, 1u),", "select(c2,"),
    ("conv2d.winograd8", "zeros that are pixels of the row before", "select(a1, vec4f(0.0), at.is_first)", "a1"),
    ("conv2d_pool.winograd8", "another pixel of a window", "vec4u(2u), is_larger2", "vec4u(3u), is_larger2"),
    ("conv2d_pool.winograd8", "windows that are not whole", " && place.z < out_width / 2u", ""),
    ("conv2d_dx.winograd8", "pixels past the edge", "let is_right = ix + 1u < in_width;", "let is_right = true;"),
    ("conv2d_dw.winograd8", "outputs past the edge", " && at.z < out_width;", ";"),
    ("conv2d.winograd_block", "no zeros outside", "is_column & vec4<bool>(is_line.y)", "vec4<bool>(is_line.y)"),
    ("conv2d.winograd_block", "pixels past the edge", "let is_right = column + 1u < size.y;", "let is_right = true;"),
    ("conv2d.winograd_block", "another row of four", "store_sums(4u * row + q,", "store_sums(4u * row + 3u - q,"),
    ("conv2d_pool.winograd_block", "windows that are not whole", "out_width) / 2u;", "out_width + 1u) / 2u;"),
    ("conv2d_pool.winograd_block", "missing bias", "b[channel] + largest", "largest"),
    (
        "conv2d_dx.winograd_block",
        "taps that are not turned round",
        "w[at + 2u * tap], w[at + tap], w[at],",
        "w[at], w[at], w[at],",
    ),
    (
        "conv2d_dx.winograd_block",
        "terms taken for columns",
        "const COLUMNS_BY_TERMS = true;",
        "const COLUMNS_BY_TERMS = false;",
    ),
    ("conv2d_dw.winograd_block", "tiles of the next split", "let is_tile = tile < tiles_end;", "let is_tile = true;"),
    ("conv2d_dw.winograd_block", "outputs past the edge", "line != 0u && is_below", "line != 0u"),
    ("maxpool", "the last of equal maxima", "value > largest", "value >= largest"),
    ("maxpool", "zero beyond the border", " || !found", ""),
    ("maxpool", "swapped dimensions", "ky * window_width + kx", "kx * window_width + ky"),
    ("maxpool", "missing border", "ox * stride + kx - pad", "ox * stride + kx"),
    ("maxpool.overlap", "missing border test", " || ix >= in_width", ""),
    ("maxpool.vec4", "the last of equal maxima", "value > largest", "value >= largest"),
    ("maxpool.vec4", "dropped candidate", "var k = 1u", "var k = 2u"),
    ("maxpool_dx", "argmax ignored", "if argmax[at] == ky * window_width + kx {", "if true {"),
    ("maxpool_dx", "quotients that are not whole", "max(at % stride, ", "max(0u, "),
    ("maxpool_dx", "windows behind the last", "at - min(at, (outputs - 1u) * stride)", "0u"),
    ("maxpool_dx", "one of several windows", "sum += dy[at];", "sum = dy[at];"),
    ("maxpool_dx.overlap", "swapped dimensions", "vec4u(ky * window_width + kx)", "vec4u(kx * window_width + ky)"),
    (
        "maxpool_dx.vec4",
        "border left unwritten",
        "if index >= batch * down * across * width {",
        "if index >= batch * out_height * out_width * width {",
    ),
    ("avgpool", "what is beyond the border does not count", "f32(window_height * window_width)", "f32(window_height)"),
    ("avgpool", "missing border test", "iy < in_height && ix", "ix"),
    ("avgpool.vec4", "missing stride", "ox * stride + kx - pad", "ox + kx - pad"),
    ("avgpool_dx", "one of several windows", "sum += dy[at];", "sum = dy[at];"),
    ("avgpool_dx.vec4", "missing border", "ix + pad - kx", "ix - kx"),
    ("avgpool_dx.vec4", "windows before the first", "min(window, at + 1u)", "window"),
    ("act_by", "missing slope", "dz[index] *= slope(f32(y[index]));", "dz[index] *= 1.0;"),
    ("act_by.vec4", "unwritten tail", "if index >= length / 4u", "if index + 1u >= length / 4u"),
    ("l2norm.tree", "part of the threads left out", "var half = 8u", "var half = 4u"),
    ("l2norm.tree", "the lengths of three rows left out", "if lane % 16u == 0u {", "if lane == 0u {"),
    ("l2norm_dx.tree", "the sum of another row", "row_parts[lane / 16u * 16u]", "row_parts[0]"),
    ("norm.vec4", "values that are not finite", "!= vec4u(0x7f800000u)", "!= vec4u(0u)"),
    ("norm.vec4", "the next chunk's values", "min((g + 1u) * chunk, length) / 4u", "length / 4u"),
    ("mean", "dropped first pixel", "var p = 0u", "var p = 1u"),
    ("mean.vec4", "sum for mean", " * (1.0 / f32(pixels))", ""),
    ("map", "wrong function", "value(f32(x[index]))", "f32(x[index])"),
    ("map.vec4", "missing function", "value4(vec4f(x[index]))", "vec4f(x[index])"),
    ("map_dx", "value for slope", "slope(f32(x[index]))", "value(f32(x[index]))"),
    ("map_dx.vec4", "value for slope", "slope4(vec4f(x[index]))", "value4(vec4f(x[index]))"),
    ("prelu", "wrong slope", "w[index % channels]", "w[0]"),
    ("prelu.vec4", "slope above zero", "value > vec4f(0.0)", "value < vec4f(0.0)"),
    ("prelu_dx", "missing slope", "w[index % channels] * dy[index]", "dy[index]"),
    ("prelu_dw", "last chunk runs on", "min((s + 1u) * chunk, rows)", "(s + 1u) * chunk"),
    ("prelu_dw.vec4", "all values", "value > vec4f(0.0)", "value > vec4f(99.0)"),
    ("dense", "dropped first term", "var i = 0u", "var i = 1u"),
    ("dense", "dropped last term", "i < inputs", "i + 1u < inputs"),
    ("dense", "missing bias", "var sum = b[o];", "var sum = 0.0;"),
    ("dense", "swapped dimensions", "w[i * outputs + o]", "w[o * inputs + i]"),
    (
        "dense",
        "wrong activation",
        "1.0 / (1.0 + exp(-z));\n    }\n    return z;\n}\n\nfn activate4",
        "exp(-z);\n    }\n    return z;\n}\n\nfn activate4",
    ),
    ("dense.registers", "rows overrun", "row < rows && ", ""),
    ("dense.registers", "wrong term", "a.y), b1", "a.y), b0"),
    ("dense_dx.registers", "operand not transposed", "q[0], q[1], q[2], q[3]", "q[0], q[2], q[1], q[3]"),
    ("dense_dw.registers", "rows left out", "(rows + splits - 1u) / splits", "rows / splits"),
    ("distances.registers", "products", "sums_add_squares(\n            query", "sums_add_rows(\n            query"),
    ("dense.subgroup8", "wrong row", "min(row + lane + 24u, rows - 1u)", "min(row + lane + 23u, rows - 1u)"),
    ("dense_dx", "dropped first term", "var o = 0u", "var o = 1u"),
    ("dense_dx", "swapped dimensions", "w[i * outputs + o]", "w[o * inputs + i]"),
    ("dense_dx.subgroup8", "rows overrun", "row < rows && ", ""),
    ("dense_dw", "dropped row of a chunk", "var n = s * chunk", "var n = s * chunk + 1u"),
    ("dense_dw", "rows past the last whole chunk left out", "(rows + splits - 1u) / splits", "rows / splits"),
    (
        "dense_dw",
        "swapped operands",
        "x[n * inputs + i]) * dz[n * outputs + o]",
        "x[n * inputs + o]) * dz[n * outputs + i]",
    ),
    ("dense_dw.subgroup8", "rows past the last counted", "mask.y * four_stored(x[at_x.y])", "four_stored(x[at_x.y])"),
    ("dense_dw.subgroup8", "splits overrun", "min((split + 1u) * chunk, rows)", "(split + 1u) * chunk"),
    ("act_dx", "slope at zero", "output > 0.0);", "output >= 0.0);"),
    ("act_dx", "wrong slope", "output * (1.0 - output)", "output * (1.0 + output)"),
    ("act_dx", "missing slope", "dy[index] * slope(f32(y[index]))", "dy[index]"),
    ("act_dx", "wrong activation", "return select(0.0, 1.0, output > 0.0);", "return 1.0;"),
    ("act", "missing activation", "activate(f32(x[index]))", "f32(x[index])"),
    ("add", "missing term", " + f32(b[index])", ""),
    ("add", "missing activation", "activate(f32(a[index]) + f32(b[index]))", "f32(a[index]) + f32(b[index])"),
    ("add_to", "written over", "y[index] + x[index]", "x[index]"),
    ("add_to.vec4", "written over", "y[index] + x[index]", "x[index]"),
    ("concat", "swapped sides", "if c < of_a {", "if c >= of_b {"),
    ("concat", "wrong channel", "b[pixel * of_b + c - of_a]", "b[pixel * of_b + c % of_b]"),
    ("concat.vec4", "wrong width", "a[pixel * of_a + c]", "a[pixel * of_b + c]"),
    ("slice", "missing start", " + start + c", " + c"),
    ("slice", "wrong width", "* in_width + j", "* out_width + j"),
    ("slice.vec4", "missing start", " + start / 4u + c", " + c"),
    ("extend", "missing border test", "i < in_height && ", ""),
    ("extend", "channels run on", " && c < in_channels", ""),
    ("extend.vec4", "columns run on", "j < in_width && ", ""),
    ("moments", "dropped first pixel", "var sum = 0.0;\n    for (var i = 0u;", "var sum = 0.0;\n    for (var i = 1u;"),
    (
        "moments",
        "mean of squares less the square of the mean",
        "squares / count;",
        "squares / count + center * center;",
    ),
    ("moments", "variance of a sample", "squares / count", "squares / (count - 1.0)"),
    ("moments", "channels for groups", "let g = index % (channels / width);", "let g = index % channels;"),
    ("moments", "squares left out", "squares += distance * distance;", "squares = distance * distance;"),
    (
        "moments.vec4",
        "dropped first pixel",
        "vec4f(0.0);\n    for (var i = 0u; i < pixels; i++) {\n        let",
        "vec4f(0.0);\n    for (var i = 1u; i < pixels; i++) {\n        let",
    ),
    ("moments.vec4", "chunks that overlap", "index / columns * pixels", "index / columns"),
    ("moments_join", "variance of the means left out", " + distance * distance", ""),
    ("moments_join", "variances of the chunks left out", "variances[q * channels + index] + ", ""),
    (
        "moments_join",
        "dropped first chunk",
        "var sum = 0.0;\n    for (var q = 0u;",
        "var sum = 0.0;\n    for (var q = 1u;",
    ),
    ("normalise", "missing epsilon", "(variance[g] + epsilon)", "(variance[g])"),
    ("normalise", "the set before", "index / channels / inner", "max(index / channels / inner, 1u) - 1u"),
    ("normalise", "missing activation", "stored(activate(", "stored(("),
    ("normalise", "channels for groups", "c / width;", "c % (channels / width);"),
    ("normalise.vec4", "missing bias", " + beta[c]));", "));"),
    ("normalise_sums", "missing mean", " - center", ""),
    ("normalise_sums", "missing deviation", "along * inverseSqrt(variance[g] + epsilon)", "along"),
    ("normalise_sums", "the first set for all", "chunk / (chunks / sets)", "0u"),
    (
        "normalise_sums.vec4",
        "last pixel left out",
        "i < (chunk + 1u) * pixels * columns",
        "i + columns < (chunk + 1u) * pixels * columns",
    ),
    ("normalise_dx", "mean of the slopes left out", "(shift + h * turn)", "(h * turn)"),
    ("normalise_dx", "what lies along the values left out", "(shift + h * turn)", "(shift)"),
    ("normalise_dx", "pixels for values", "f32(inner * width)", "f32(inner)"),
    ("normalise_dx", "gamma of the channel for that of each", "turn += gamma[e]", "turn += gamma[c]"),
    ("normalise_dx.vec4", "missing gamma", "gamma[c] * r", "r"),
    ("track", "missing factor", "factor * batch", "batch"),
    ("track", "old for new", "+= momentum * (factor * batch", "+= (1.0 - momentum) * (factor * batch"),
    ("fold", "missing mean", "beta[index] - mean[index] * scale", "beta[index]"),
    ("fold", "missing epsilon", "(variance[c] + epsilon);\n    folded", "(variance[c]);\n    folded"),
    ("fold", "terms for channels", "index % channels", "index / terms"),
    ("l2norm", "missing root", "max(sqrt(sum), 1e-12)", "max(sum, 1e-12)"),
    ("l2norm", "missing shortest length", "max(sqrt(sum), 1e-12)", "sqrt(sum)"),
    ("l2norm", "dropped first term", "var sum = 0.0;\n    for (var d = 0u;", "var sum = 0.0;\n    for (var d = 1u;"),
    ("l2norm", "wrong length stored", "norm[n] = length;", "norm[n] = 1.0 / length;"),
    ("l2norm_dx", "missing projection", " - y[n * dims + d] * along", ""),
    ("l2norm_dx", "missing divisor", " / norm[n];", ";"),
    (
        "l2norm_dx",
        "dropped first term",
        "var along = 0.0;\n    for (var d = 0u;",
        "var along = 0.0;\n    for (var d = 1u;",
    ),
    (
        "triplet",
        "missing margin",
        "terms[TERMS * t + ACTIVE] = select(0.0, 1.0, x + margin > 0.0)",
        "terms[TERMS * t + ACTIVE] = select(0.0, 1.0, x > 0.0)",
    ),
    ("triplet", "missing margin in the penalty", "max(x + margin, 0.0)", "max(x, 0.0)"),
    ("triplet", "missing sharpness", "/ sharpness, slope", ", slope"),
    ("triplet", "missing penalty", "terms[TERMS * t + COST] = penalty(x).x", "terms[TERMS * t + COST] = x"),
    ("triplet", "missing scale", "x = scale * ap - scale * an", "x = ap - an"),
    ("triplet", "swapped branches", "x = scale * ap - scale * an", "x = scale * an - scale * ap"),
    (
        "triplet",
        "every triplet active",
        "terms[TERMS * t + ACTIVE] = select(0.0, 1.0, x + margin > 0.0)",
        "terms[TERMS * t + ACTIVE] = 1.0",
    ),
    ("triplet_dx", "slope of the other side", "select(small, 1.0, x > 0.0)", "select(1.0, small, x > 0.0)"),
    ("triplet", "dropped first term", "var d = 0u", "var d = 1u"),
    ("triplet_dx", "missing negative branch", "if index >= 2u * branch {", "if false {"),
    ("triplet_dx", "wrong sign", "positive - anchor", "anchor - positive"),
    ("triplet_dx", "wrong divisor", "/ f32(triplets)", "/ f32(3u * triplets)"),
    ("triplet_dx", "wrong factor", "2.0 * scale", "scale"),
    ("triplet_dx", "triplets that are not active", " * slope * direction", " * direction"),
    (
        "triplet_dx",
        "swapped distances",
        "terms[TERMS * t + D_AP] - terms[TERMS * t + D_AN]",
        "terms[TERMS * t + D_AN] - terms[TERMS * t + D_AP]",
    ),
    ("mine", "pairs of an image with itself", "p != a && ", ""),
    ("mine", "harder negatives too", "(semi_hard == 0u || d_an > d_aj)", "true"),
    ("mine", "harder positives too", "(semi_hard == 0u || d_aj > d_ap)", "true"),
    ("mine", "only semi-hard ones", "cost.y > 0.0 && (semi_hard == 0u || d_an > d_aj)", "cost.y > 0.0 && d_an > d_aj"),
    ("mine", "own label as negatives", "select(step, step + images, step >= own)", "step"),
    ("mine", "dropped last negative", "step < rows - images", "step + 1u < rows - images"),
    ("mine", "negatives pull", "weight -= slope", "weight += slope"),
    ("mine", "missing scale", "let d_an = scale * distance", "let d_an = distance"),
    ("mine", "half of the tree", "var half = 32u", "var half = 16u"),
    ("mine_hard", "nearest positive", "if d_aj > best.x {", "if d_aj < -best.x {"),
    ("mine_hard", "itself as a positive", "} else if j != a {", "} else {"),
    ("mine_hard", "farthest negative", "if d_aj < best.y {", "if d_aj > -best.y {"),
    ("mine_hard", "last of equal positives", "other_place.x < place.x", "other_place.x > place.x"),
    (
        "mine_hard",
        "negatives pull",
        ") - select(0.0, cost.y, j == places[0].y)",
        ") + select(0.0, cost.y, j == places[0].y)",
    ),
    ("mine_hard", "half of the tree", "var half = 32u", "var half = 16u"),
    ("multi_similarity", "positives not mined", "if d + 2.0 * epsilon > mined_beyond", "if true"),
    ("multi_similarity", "negatives not mined", "if d < mined_below", "if true"),
    ("multi_similarity", "missing epsilon", "ends.x + 2.0 * epsilon", "ends.x"),
    ("multi_similarity", "missing 1", "exp(0.5 * alpha * (edge - far)) + sums.x", "sums.x"),
    ("multi_similarity", "positives pushed", "weight = 0.5 * exp(0.5 * alpha", "weight = -0.5 * exp(0.5 * alpha"),
    (
        "multi_similarity",
        "the sharpness of positives for negatives",
        "sums.y += exp(0.5 * beta",
        "sums.y += exp(0.5 * alpha",
    ),
    ("multi_similarity", "pairs of a row with itself", "itself == 1u && a == j", "false"),
    (
        "multi_similarity",
        "half of the tree",
        "branches[lane] += branches[lane + half]",
        "branches[lane] += branches[half]",
    ),
    ("supcon", "a sum instead of a mean", "1.0 / sums.w", "1.0"),
    ("supcon", "positives left out of the softmax", "exp(slope * (nearest - d)), d, 0.0, 1.0", "0.0, d, 0.0, 1.0"),
    ("supcon", "missing temperature", "0.5 / temperature", "0.5"),
    ("supcon", "anchors without positives", "max(ends.x, ends.y) < FAR", "true"),
    ("supcon", "pairs of a row with itself", "itself == 1u && a == j", "false"),
    ("nt_xent", "one positive for all", "slope * of_positives.y", "slope"),
    ("nt_xent", "missing logarithm", "log_of_negatives + slope * (d - nearest)).y", "slope * (d - nearest)).y"),
    ("nt_xent", "the mean over anchors", "terms[TERMS * a + COUNT] = sums.w", "terms[TERMS * a + COUNT] = 1.0"),
    ("nt_xent", "the sharpness of the cosine", "0.5 / temperature", "1.0 / temperature"),
    ("circle", "missing weight", "/ sums.y * pair.y * exp", "/ sums.y * exp"),
    ("circle", "missing margin", "s - margin, 1.0 - margin - s", "s, 1.0 - s"),
    ("circle", "the largest exponent of the others", "exp(pair.x - ends.y), 0.0, d", "exp(pair.x - ends.x), 0.0, d"),
    ("circle", "missing slope", "0.5 * cost.y / sums.x", "0.5 / sums.x"),
    ("contrastive", "squared distances", "let root = sqrt(d);", "let root = d;"),
    ("contrastive", "one mean for both", "select(negative_share, positive_share, kind == POSITIVE)", "positive_share"),
    ("contrastive", "every anchor counts", "select(0.0, 1.0, a == 0u)", "1.0"),
    ("contrastive", "the other way", "select(-0.5, 0.5, kind == POSITIVE)", "select(0.5, -0.5, kind == POSITIVE)"),
    ("contrastive_count", "pairs within their margins", "kind).x > 0.0", "kind).x >= 0.0"),
    ("contrastive_count", "swapped columns", "counts[2u * a] = found.x", "counts[2u * a] = found.y"),
    ("mine_dx", "one direction of a pair", "w[i * rows + j] + w[j * rows + i]", "w[i * rows + j]"),
    ("mine_dx.vec4", "one direction of a pair", "w[i * rows + j] + w[j * rows + i]", "w[j * rows + i]"),
    ("mine_dx", "missing difference", "(own - e[j * dims + d])", "own"),
    ("mine_dx", "another total", "totals[COUNT]", "totals[COST]"),
    ("mine_dx", "wrong factor", "2.0 * scale", "scale"),
    ("enqueue", "places that do not turn round", "+ places - position[0] % places) % places", "- position[0])"),
    ("enqueue", "a row too many", "n < rows)", "n <= rows)"),
    ("memory_dx", "missing difference", "(own - r[j * dims + d])", "own"),
    ("memory_dx", "gradient replaced", "de[index] += 2.0", "de[index] = 2.0"),
    ("memory_dx", "another total", "totals[COUNT]", "totals[COST]"),
    ("join_costs", "all columns", "if index % columns == COST {", "if true {"),
    ("join_costs", "swapped counts", "max(further_totals[COUNT], 1.0)", "max(further_totals[COST], 1.0)"),
    ("margin_softmax", "missing margin", "- root * sine - margin, cosine", "- root * sine, cosine"),
    ("margin_softmax", "an angle that rises again", "if c < -cosine {", "if c < -2.0 {"),
    ("margin_softmax", "missing slope of the angle", ", cosine + inner / root * sine)", ", 1.0)"),
    ("margin_softmax", "a cosine above 1", "let inner = clamp(c, -MOST, MOST);", "let inner = clamp(c, -1.0, 1.0);"),
    ("margin_softmax", "the own class among the others", "if j != label {", "if true {"),
    ("margin_softmax", "missing smoothing", "let even = smoothing / f32(classes);", "let even = 0.0 * smoothing;"),
    ("margin_softmax", "missing scale of the slope", "scale / f32(rows) * slope", "slope / f32(rows)"),
    (
        "margin_softmax",
        "missing part of the first tree",
        "branches[lane] = max(branches[lane], branches[lane + half]);",
        "branches[lane] = max(branches[lane], branches[lane + half / 2u]);",
    ),
    (
        "margin_softmax",
        "missing part of the second tree",
        "branches[lane] += branches[lane + half];",
        "branches[lane] += branches[lane + half / 2u];",
    ),
    ("margin_softmax", "dropped last class", "let end = select(0u, classes,", "let end = select(0u, classes - 1u,"),
    ("proxy_anchor", "own rows pushed", "-alpha / f32(present)", "alpha / f32(present)"),
    ("proxy_anchor", "a mean over all classes", "-alpha / f32(present)", "-alpha / f32(classes)"),
    ("proxy_anchor", "missing 1", "let pull = all.x + exp(-top.x);", "let pull = all.x;"),
    ("proxy_anchor", "missing weight of the pull", "f32(classes) / f32(present) * pulled", "pulled"),
    ("proxy_anchor", "swapped cosines", "OWN_ROWS] = all.z;", "OWN_ROWS] = all.w;"),
    ("proxy_anchor", "dropped last row", "let end = select(0u, rows,", "let end = select(0u, rows - 1u,"),
    ("centre", "missing half", "0.5 * weight * sum;", "weight * sum;"),
    ("centre", "wrong divisor", "weight / f32(rows)", "weight"),
    ("centre", "cost replaced", "+ COST] += 0.5", "+ COST] = 0.5"),
    ("centre", "half of the tree", "branches[lane] += branches[lane + half]", "branches[lane] += branches[half]"),
    ("recentre", "missing 1", "/ (1.0 + count)", "/ max(count, 1.0)"),
    ("recentre", "rows of all classes", "if labels[n] == y {", "if true {"),
    ("recentre", "dropped first row", "var n = 0u;", "var n = 1u;"),
    (
        "warp",
        "swapped axes",
        "maps[m] * from_centre.x + maps[m + 1u] * from_centre.y",
        "maps[m] * from_centre.y + maps[m + 1u] * from_centre.x",
    ),
    ("warp", "missing centre", ") + centre;", ");"),
    ("warp", "nearest pixel", "let share = place - floor(place);", "let share = 0.0 * place;"),
    ("warp", "edge repeated", "return 0.0;\n    }\n    let byte", "return 1.0;\n    }\n    let byte"),
    ("warp", "one channel for all", "share.y), channel)", "share.y), 0u)"),
    ("warp", "another row's key", "keys[n]", "keys[0]"),
    ("warp", "dropped control point", "i < 4u", "i < 3u"),
    ("warp", "swapped splines", "weights_x[i] * weights_y[j]", "weights_x[j] * weights_y[i]"),
    ("tint", "missing offset", "var sum = colours[row + 3u];", "var sum = 0.0;"),
    ("tint", "another row's colours", "12u * n + ", "12u * 0u + "),
    ("tint", "grey by one factor", "(factors.x + factors.y + factors.z)", "factors.x"),
    ("tint", "one row for all channels", "select(0u, 4u * channel, channels == 3u)", "0u"),
    ("tint", "not cut off below", "clamp(sum, 0.0, 255.0)", "min(sum, 255.0)"),
    ("tint", "not cut off above", "clamp(sum, 0.0, 255.0)", "max(sum, 0.0)"),
    ("tint", "blank of either side", "all(at >= first) && all(at < end)", "all(at >= first) || all(at < end)"),
    (
        "tint",
        "swapped sides",
        "pixel % width), f32(pixel / width % height",
        "pixel / width % height), f32(pixel % width",
    ),
    ("tint", "a mean forgotten", " + vec4f(mean_0, mean_1, mean_2, mean_3)[c];", ";"),
    ("mirror", "not mirrored", "select(column, width - 1u - column, is_mirrored)", "column"),
    ("mirror", "mirrored both", "row / height % 2u == 1u", "true"),
    (
        "mirror",
        "channels mirrored too",
        "from_column * channels + index % channels",
        "from_column * channels + channels - 1u - index % channels",
    ),
    ("mirror", "off by one", "width - 1u - column", "width - column"),
    ("drop", "missing factor", "factor * f32(x[index])", "f32(x[index])"),
    ("drop", "another row's key", "keys[index / columns]", "keys[0]"),
    ("drop", "the same in every layer", "keys[index / columns] ^ layer", "keys[index / columns]"),
    ("drop", "whole columns", "hash(key ^ (index % columns))", "hash(index % columns)"),
    ("drop", "the other share", ">= threshold));", "< threshold));"),
    (
        "drop.vec4",
        "the first of four for all",
        "4u * (index % fours) + vec4u(0u, 1u, 2u, 3u)",
        "vec4u(4u * (index % fours))",
    ),
    ("average", "wrong share", "step[3]", "step[2]"),
    ("average", "another direction", "p[j] - a[j]", "a[j] - p[j]"),
    ("sum_rows", "dropped row of a chunk", "var r = s * chunk", "var r = s * chunk + 1u"),
    ("sum_rows", "last chunk runs on", "min((s + 1u) * chunk, rows)", "(s + 1u) * chunk"),
    ("sum_rows", "swapped dimensions", "r * columns + c", "c * rows + r"),
    ("norm", "non-finite values not counted", "sum.y += 1.0;", "sum.y += 0.0;"),
    (
        "norm",
        "NaN let through",
        "(bitcast<u32>(x[j]) & 0x7f800000u) == 0x7f800000u",
        "(bitcast<u32>(x[j]) & 0x7fffffffu) == 0x7f800000u",
    ),
    (
        "norm",
        "infinity let through",
        "(bitcast<u32>(x[j]) & 0x7f800000u) == 0x7f800000u",
        "(bitcast<u32>(x[j]) & 0x7fffffffu) > 0x7f800000u",
    ),
    ("norm", "missing square", "x[j] * x[j]", "abs(x[j])"),
    ("norm", "half of the tree", "branches[lane] += branches[lane + half]", "branches[lane] += branches[half]"),
    ("norm", "last chunk runs on", "min((g + 1u) * chunk, length)", "(g + 1u) * chunk"),
    ("norm", "chunks that overlap", "g * chunk + lane", "g * (chunk - 1u) + lane"),
    ("statistics", "wrong divisor", "/ per[c]", "/ per[2]"),
    ("statistics", "mean over all", "max(sums[64u * COUNT], 1.0)", "f32(rows)"),
    ("statistics", "missing root", "sqrt(sums[64u * columns])", "sums[64u * columns]"),
    ("statistics", "dropped last row", "t < rows", "t + 1u < rows"),
    ("statistics", "swapped columns", "terms[columns * t + c]", "terms[columns * t + (columns - 1u - c)]"),
    ("statistics", "half of the tree", "var half = 32u", "var half = 16u"),
    ("gather.vec4", "bytes in the other order", "vec4u(0u, 8u, 16u, 24u)", "vec4u(24u, 16u, 8u, 0u)"),
    ("gather.vec4", "one channel for four", "+ vec4u(0u, 1u, 2u, 3u)", ""),
    ("gather.vec4", "another channel", "% channels", "% pixels"),
    ("gather.vec4", "row number out of range", "min(rows[index / words], images - 1u)", "rows[index / words]"),
    ("act_dx.vec4", "unwritten tail", "if index >= length / 4u", "if index + 1u >= length / 4u"),
    ("act_dx.vec4", "slope of the other side", "output > vec4f(0.0));", "output < vec4f(0.0));"),
    ("sum_rows.vec4", "last split runs on", "min((s + 1u) * chunk, rows)", "(s + 1u) * chunk"),
    ("sum_rows.vec4", "swapped dimensions", "x[r * width + c]", "x[c * width + r]"),
    ("mine.subgroup8", "a label's own images as negatives", " && (n < own || n >= end)", ""),
    ("mine.subgroup8", "the anchor as its positive", "j.x < end && j.x != a", "j.x < end"),
    ("mine.subgroup8", "easy positives for semi-hard", "(semi_hard == 0u || d_an > d_ap)", "true"),
    ("mine.subgroup8", "dropped negatives", "var first = 0u; first < rows", "var first = 8u; first < rows"),
    ("mine.subgroup8", "a positive forgotten", "    store_positive(a, own + 31u, end, lane, 7u, slopes[31]);", ""),
    ("mine.subgroup8", "unwritten diagonal", "w[a * rows + a] = 0.0;", ""),
    ("mine_dx.subgroup8", "one side of the weights", " + column(j, i1)", ""),
    ("mine_dx.subgroup8", "dropped term", "fma(vec4f(weights.w), e - e3, ", "("),
    ("mine_dx.subgroup8", "rows overrun", "row < labels * images && ", ""),
    ("adam.vec4", "missing correction of the second moment", "sqrt(second * step[2])", "sqrt(second)"),
    ("adam.vec4", "not clipped", "gradient *= clip / stats[norm];", ""),
    ("adam.vec4", "first moment not stored", "m[j] = first;", ""),
    ("adam", "missing correction of the first moment", "(first * step[1])", "first"),
    ("adam", "missing correction of the second moment", "sqrt(second * step[2])", "sqrt(second)"),
    ("adam", "missing epsilon", " + epsilon));", "));"),
    ("adam", "swapped decays", "beta1 * m[j]", "beta2 * m[j]"),
    ("adam", "missing square", "(1.0 - beta2) * gradient * gradient", "(1.0 - beta2) * gradient"),
    ("adam_groups", "missing decay", "rates[tensor + 1u] * p[j] + ", ""),
    ("adam_groups", "the rate of another tensor", "step[0] * rates[tensor]", "step[0] * rates[0]"),
    ("adam_groups.vec4", "the decay of another tensor", "rates[tensor + 1u]", "rates[1u]"),
    ("adam_groups.vec4", "the rate of another tensor", "j / (alike / 4u)", "j / alike"),
    ("adam_groups", "first moment not stored", "m[j] = first;", ""),
    ("adam_groups", "not clipped", "gradient *= clip / stats[norm];", ""),
    ("adam", "gradients that are not long enough shortened", " && stats[norm] > clip", ""),
    ("adam", "not clipped", "gradient *= clip / stats[norm];", ""),
    ("adam", "uphill", "p[j] -= ", "p[j] += "),
    ("adam", "second moment not stored", "v[j] = second;", ""),
    ("distances", "dropped last term", "d < dims", "d + 1u < dims"),
    ("distances", "missing square", "difference * difference", "abs(difference)"),
    (
        "distances",
        "swapped dimensions",
        "let r = index % references;\n    let q = index / references;",
        "let r = index / queries;\n    let q = index % queries;",
    ),
    ("distances.subgroup8", "columns overrun", " && column < references / 4u", ""),
    ("topk.vec4", "dropped candidate", "best_add(values.w, 4u * r + 3u);", ""),
    ("topk.vec4", "the first four left out", "var r = lane", "var r = lane + 1u"),
    ("topk.vec4", "another column", "4u * r + 2u", "4u * r + 3u"),
    ("topk", "the higher of equal columns in a list", "best[j - 1u] <= value", "best[j - 1u] < value"),
    (
        "topk",
        "the higher of equal columns between lists",
        "shared_column[at] < winning_column",
        "shared_column[at] > winning_column",
    ),
    ("topk", "an empty place taken for a reference", "is_left && (closer", "(closer"),
    ("topk", "dropped last list", "list < 64u", "list < 63u"),
    ("topk", "a winner that wins again", "head[winner] += 1u;", ""),
    ("topk", "dropped candidate", "r < references", "r + 1u < references"),
];

fn sabotages_are_caught(shaders: Vec<Cases>) {
    let mut missed = Vec::new();
    for &(name, what, from, to) in SABOTAGES {
        let known = kernels::all().iter().any(|entry| entry.shaders.contains(&name));
        assert!(known, "the registry has no shader {name}");
        // Another test's, or of a variant that the device lacks something for, and never runs.
        let Some((_, cases)) = shaders.iter().find(|(candidate, _)| *candidate == name) else { continue };
        let found = cases[0].1.source.matches(from).count();
        if found != 1 {
            missed.push(format!("{name}, {what}: `{from}` must be in the text once, not {found} times"));
        } else if !caught(cases, |shader| ShaderAt { source: shader.source.replace(from, to), ..shader.clone() }) {
            missed.push(format!("{name}, {what}: `{from}` → `{to}` passes every case"));
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

#[test]
fn every_sabotage_is_caught() {
    sabotages_are_caught(shaders(false));
}

#[test]
fn every_sabotage_is_caught_by_matrices() {
    sabotages_are_caught(shaders(true));
}

/// A dense layer of one row and four outputs over one input, so that outputs are of the order of 1.
fn dense() -> At {
    At::new::<Dense>(DenseShape { rows: 1, inputs: 1, outputs: 4, activation: Activation::None })
}

/// All rows of all arrays.
fn whole(at: &At, arrays: Vec<Array<f64>>) -> Expected {
    Expected { rows: std::iter::once(0..at.rows()).collect(), arrays }
}

/// What [`check::compare`] says of `y` where the reference says `expected`.
fn verdict(y: Option<[f32; 4]>, expected: [f64; 4]) -> Report {
    let at = dense();
    let read: Vec<_> = at.args()[..3].iter().map(|arg| vec![1.0; arg.len]).collect();
    let mut got: Vec<_> = read.iter().map(|values| Some(Array::Float(values.clone()))).collect();
    got.push(y.map(|y| Array::Float(y.to_vec())));
    let mut wanted: Vec<_> = read.into_iter().map(|values| Array::Float(vec![1.0; values.len()])).collect();
    wanted.push(Array::Float(expected.to_vec()));
    check::compare(&at, "test", &got, &whole(&at, wanted))
}

const SOUND: [f32; 4] = [1.0, -1.0, 1.0, -1.0];

#[test]
fn equal_arrays_use_nothing_of_the_tolerance() {
    let report = verdict(Some(SOUND), SOUND.map(f64::from));
    assert!(report.passed(), "{report}");
    assert_eq!(report.share, 0.0, "{report}");
}

#[test]
fn the_share_is_that_of_the_worst_element() {
    let bound = dense().tolerance().relative();
    let mut expected = SOUND.map(f64::from);
    expected[1] -= 0.25 * bound;
    expected[2] += 0.5 * bound;
    let report = verdict(Some(SOUND), expected);
    assert!(report.passed(), "{report}");
    assert!((0.49..0.51).contains(&report.share), "{}", report.share);
}

#[test]
fn twice_the_bound_fails_and_names_the_element() {
    let bound = dense().tolerance().relative();
    for place in 0..4 {
        let mut expected = SOUND.map(f64::from);
        expected[place] += 2.0 * bound;
        let report = verdict(Some(SOUND), expected);
        assert!((1.9..2.1).contains(&report.share), "{}", report.share);
        let failure = report.failure.expect("twice the bound is wrong");
        assert!(failure.contains(&format!("`y`[{place}]")), "{failure}");
    }
}

#[test]
fn a_small_element_among_large_ones_has_the_bound_of_the_array() {
    // The rounding of a sum is that of its terms, however small the sum happens to be.
    let bound = dense().tolerance().relative();
    let rms = (3.0f64 / 4.0).sqrt();
    let report = verdict(Some([0.0, -1.0, 1.0, -1.0]), [0.9 * rms * bound, -1.0, 1.0, -1.0]);
    assert!(report.passed(), "{report}");
    let report = verdict(Some([0.0, -1.0, 1.0, -1.0]), [1.1 * rms * bound, -1.0, 1.0, -1.0]);
    assert!(!report.passed(), "{report}");
}

#[test]
fn what_is_not_a_number_fails_where_one_is_expected() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..4 {
            let mut y = SOUND;
            y[place] = wrong;
            let report = verdict(Some(y), SOUND.map(f64::from));
            let failure = report.failure.unwrap_or_else(|| panic!("{wrong} at {place} passes"));
            assert!(failure.contains(&format!("`y`[{place}]")), "{failure}");
        }
    }
    let mut expected = SOUND.map(f64::from);
    expected[2] = f64::NAN;
    assert!(!verdict(Some(SOUND), expected).passed(), "a reference that is no number proves nothing");
}

#[test]
fn a_broken_guard_fails() {
    let failure = verdict(None, SOUND.map(f64::from)).failure.expect("an overrun is wrong");
    assert!(failure.contains("`y`") && failure.contains("outside"), "{failure}");
}

#[test]
fn a_broken_guard_of_a_read_array_fails() {
    let at = dense();
    let sound: Vec<_> = at.args().iter().map(|arg| Some(Array::Float(vec![1.0; arg.len]))).collect();
    let wanted: Vec<_> = at.args().iter().map(|arg| Array::Float(vec![1.0; arg.len])).collect();
    for place in 0..sound.len() {
        let mut got = sound.clone();
        got[place] = None;
        assert!(!check::compare(&at, "test", &got, &whole(&at, wanted.clone())).passed(), "argument {place}");
    }
}

#[test]
fn an_integer_off_by_one_fails() {
    let at = At::new::<MaxPool>(PoolShape::new([1, 2, 4, 1], 2, 2, 0).expect("two windows"));
    let report = |argmax: Vec<u32>| {
        let got = [Array::Float(vec![1.0; 8]), Array::Float(vec![1.0; 2]), Array::Uint(argmax)].map(Some);
        let wanted = vec![Array::Float(vec![1.0; 8]), Array::Float(vec![1.0; 2]), Array::Uint(vec![3, 0])];
        check::compare(&at, "test", &got, &whole(&at, wanted))
    };
    assert!(report(vec![3, 0]).passed(), "equal integers");
    for wrong in [vec![2, 0], vec![3, 1], vec![3, u32::MAX]] {
        let failure = report(wrong.clone()).failure.unwrap_or_else(|| panic!("{wrong:?} passes for [3, 0]"));
        assert!(failure.contains("`argmax`"), "{failure}");
    }
}

#[test]
fn arrays_to_be_written_start_as_nothing_a_kernel_makes() {
    for at in kernels::all().iter().flat_map(|entry| &entry.cases) {
        for (arg, array) in at.args().iter().zip(check::inputs(at, 1)) {
            assert_eq!(array.len(), arg.len, "{at}: `{}`", arg.name);
            let blank = match &array {
                Array::Float(values) => values.iter().all(|value| value.is_nan()),
                Array::Uint(values) => values.iter().all(|&value| value == u32::MAX),
            };
            assert_eq!(blank, arg.access == Access::Write, "{at}: `{}`", arg.name);
        }
    }
}

/// A dense layer that is heavy enough to be proven on some rows, its inputs, and what a routine makes of them.
fn heavy() -> (Case, Vec<Option<Array>>) {
    let at = At::new::<Dense>(DenseShape { rows: 300, inputs: 1024, outputs: 512, activation: Activation::Relu });
    assert!(check::rows(&at, 1).len() > 1, "{at} is compared whole");
    let case = Case::new(&at, 1);
    let mut arrays = case.arrays().to_vec();
    let routine = at.routine_for_shape().expect("dense layers have a routine");
    siamese::cpu::routine(&at, routine, check::views(&at, &mut arrays));
    (case, arrays.into_iter().map(Some).collect())
}

fn real(array: &mut Option<Array>) -> &mut [f32] {
    match array {
        Some(Array::Float(values)) => values,
        _ => panic!("no array of real numbers"),
    }
}

#[test]
fn a_heavy_call_is_caught_in_its_first_and_last_row_and_where_most_rows_are_wrong() {
    let (case, got) = heavy();
    assert!(case.compare("test", &got).passed());
    let length = got[3].as_ref().expect("an output").len() / case.at().rows();
    let every: Vec<usize> = (0..case.at().rows()).collect();
    let second: Vec<usize> = every.iter().copied().step_by(2).collect();
    for (what, wrong) in
        [("first", &every[..1]), ("last", &every[299..]), ("second", &second), ("later", &every[150..])]
    {
        for columns in [0..1, length - 1..length] {
            let mut broken = got.clone();
            let rows = real(&mut broken[3]).chunks_mut(length).enumerate().filter(|(row, _)| wrong.contains(row));
            rows.for_each(|(_, values)| values[columns.clone()].iter_mut().for_each(|value| *value += 1.0));
            assert!(!case.compare("test", &broken).passed(), "{what}, columns {columns:?}");
        }
    }
}

#[test]
fn an_element_of_a_heavy_call_that_nobody_wrote_is_caught_in_every_row() {
    let (case, got) = heavy();
    let length = got[3].as_ref().expect("an output").len();
    for place in (0..length).step_by(length / 97) {
        let mut broken = got.clone();
        real(&mut broken[3])[place] = f32::NAN;
        let failure = case.compare("test", &broken).failure.unwrap_or_else(|| panic!("{place} passes"));
        assert!(failure.contains("`y`"), "{failure}");
    }
}

#[test]
fn rows_of_heavy_calls_are_drawn_by_a_seed() {
    let (case, _) = heavy();
    let rows = |seed| check::rows(case.at(), seed);
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
    for seed in 0..50 {
        let rows = rows(seed);
        assert_eq!((rows[0].clone(), rows[rows.len() - 1].clone()), (0..1, 299..300));
        assert_eq!(rows.iter().map(|rows| rows.len()).sum::<usize>(), 10);
        assert!(rows.windows(2).all(|pair| pair[0].end <= pair[1].start), "{rows:?}");
    }
}

/// The terms of mined batches hold counts of thousands beside distances whose sums are tens.
#[test]
fn an_error_in_a_column_of_small_values_does_not_pass_by_the_size_of_the_others() {
    let at =
        At::new::<Mine>(MineShape { labels: 10, images: 10, margin: 0.2, sharpness: 0.0, scale: 1.0, semi_hard: 0 });
    let pairs = at.args()[1].len;
    let terms: Vec<f32> = (0..at.rows()).flat_map(|_| [25.0, 4000.0, 5000.0, 30.0, 900.0]).collect();
    let report = |terms: Vec<f32>, expected: &[f32]| {
        let blank = vec![0.0; pairs];
        let got = [Array::Float(blank.clone()), Array::Float(blank.clone()), Array::Float(terms)].map(Some);
        let real = |values: &[f32]| Array::Float(values.iter().map(|&value| f64::from(value)).collect());
        check::compare(&at, "test", &got, &whole(&at, vec![real(&blank), real(&blank), real(expected)]))
    };
    assert!(report(terms.clone(), &terms).passed(), "equal terms");
    for column in [0, 3] {
        for anchor in [0, 57, 99] {
            let mut wrong = terms.clone();
            wrong[5 * anchor + column] += 0.02;
            assert!(!report(wrong, &terms).passed(), "column {column} of anchor {anchor}");
        }
    }
}
