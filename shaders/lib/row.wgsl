// Appended to shaders whose workgroups of 64 threads take four rows, sixteen threads each.

var<workgroup> row_parts: array<f32, 64>;

// The sum over the threads of a row. Every thread takes part, once.
fn row_total(lane: u32, own: f32) -> f32 {
    row_parts[lane] = own;
    for (var half = 8u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane % 16u < half {
            row_parts[lane] += row_parts[lane + half];
        }
    }
    workgroupBarrier();
    return row_parts[lane / 16u * 16u];
}
