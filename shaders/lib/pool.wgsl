// Appended to the pools: the places of windows along an axis, as (first, end) and all of a size. They declare
// `override stride: u32` and `override pad: u32`.

// The places of the window of output `o` that are inside the image, one by one. That of place k is o*stride + k - pad.
fn places_inside(o: u32, window: u32, inputs: u32) -> vec2u {
    let start = o * stride;
    return vec2u(max(start, pad) - start, min(window, inputs + pad - start));
}

// The places at which windows have input `i`, in steps of stride. The output of place k is (i + pad - k) / stride.
fn places_of(i: u32, window: u32, outputs: u32) -> vec2u {
    let at = i + pad;
    // There is no window before the first, nor one behind the last.
    return vec2u(max(at % stride, at - min(at, (outputs - 1u) * stride)), min(window, at + 1u));
}
