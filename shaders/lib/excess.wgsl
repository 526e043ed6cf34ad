// Appended to the shaders of the contrastive loss. They declare `override positive: f32` and `override negative: f32`.

// By how much a pair at squared distance d is beyond its margin, and the slope of that by d; of equal rows, which have
// no direction in which to part, 0.
fn excess(d: f32, kind: u32) -> vec2f {
    let root = sqrt(d);
    let beyond = select(negative - root, root - positive, kind == POSITIVE);
    let slope = select(-0.5, 0.5, kind == POSITIVE) / max(root, 1e-30);
    return vec2f(max(beyond, 0.0), select(0.0, slope, beyond > 0.0 && root > 0.0));
}
