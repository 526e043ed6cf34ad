// Appended to the shaders of conv2d for GPUs and any number of input channels, with lib/conv2d_rows.wgsl: loads each
// input by itself.

alias Loaded = vec4f;
alias Inside = array<vec4<bool>, 4>;
const LOADED_INPUTS = 1u;

// The places of the first terms, by fours: what workgroup memory has room for.
const PLACES = 96u;
var<workgroup> places: array<array<vec4u, 2>, PLACES>;

// Of four terms from 4*k: the bits of their tap, and how far their input is from the one under the first tap.
fn place(k: u32) -> array<vec4u, 2> {
    let term = 4u * k + vec4u(0u, 1u, 2u, 3u);
    let tap = term / in_channels;
    let bits = vec4u(tap_bits(tap.x), tap_bits(tap.y), tap_bits(tap.z), tap_bits(tap.w));
    // Behind the last term there is none.
    let taps = select(vec4u(1u << 31u), bits, term < vec4u(kernel_height * kernel_width * in_channels));
    return array<vec4u, 2>(taps, tap / kernel_width * (in_width - kernel_width) * in_channels + term);
}

// As block_make; but first all threads look up where the terms are.
fn block_make_scalar(lane: u32, row: u32, column: u32) {
    for (var k = lane; k < PLACES; k += BLOCK_THREADS) {
        places[k] = place(k);
    }
    workgroupBarrier();
    block_make(lane, row, column, kernel_height * kernel_width * in_channels);
}

fn place_found(k: u32) -> array<vec4u, 2> {
    if kernel_height * kernel_width * in_channels > 4u * PLACES {
        return place(k);
    }
    return places[k];
}

fn rows_load(first: u32, q: u32) {
    let own = place_found(first + q);
    let taps = own[0];
    let on = own[1];
    // for j in 0..4:
    //     inside[{j}] = (taps & vec4u(row_taps.{xyzw[j]})) == taps;
    //     let at{j} = select(vec4u(0u), row_at.{xyzw[j]} + on, inside[{j}]);
    //     loaded[{j}] = vec4f(vec4<stored>(x[at{j}.x], x[at{j}.y], x[at{j}.z], x[at{j}.w]));
    inside[0] = (taps & vec4u(row_taps.x)) == taps;
    let at0 = select(vec4u(0u), row_at.x + on, inside[0]);
    loaded[0] = vec4f(vec4<stored>(x[at0.x], x[at0.y], x[at0.z], x[at0.w]));
    inside[1] = (taps & vec4u(row_taps.y)) == taps;
    let at1 = select(vec4u(0u), row_at.y + on, inside[1]);
    loaded[1] = vec4f(vec4<stored>(x[at1.x], x[at1.y], x[at1.z], x[at1.w]));
    inside[2] = (taps & vec4u(row_taps.z)) == taps;
    let at2 = select(vec4u(0u), row_at.z + on, inside[2]);
    loaded[2] = vec4f(vec4<stored>(x[at2.x], x[at2.y], x[at2.z], x[at2.w]));
    inside[3] = (taps & vec4u(row_taps.w)) == taps;
    let at3 = select(vec4u(0u), row_at.w + on, inside[3]);
    loaded[3] = vec4f(vec4<stored>(x[at3.x], x[at3.y], x[at3.z], x[at3.w]));
    // end
}
