// Appended to the gradients of pools. They declare `override stride: u32` and `override pad: u32`.

// The places at which windows along an axis, all of a size, have input `i`: from x on, below y, in steps of stride. The
// output of place k is (i + pad - k) / stride.
fn places_of(i: u32, window: u32, outputs: u32) -> vec2u {
    let at = i + pad;
    // There is no window before the first, nor one behind the last.
    return vec2u(max(at % stride, at - min(at, (outputs - 1u) * stride)), min(window, at + 1u));
}
