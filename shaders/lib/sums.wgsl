// Appended to the shaders for GPUs, with lib/block.wgsl or lib/slices.wgsl: 8 × 8 sums in the registers of a thread.
// The shader declares add_term(sum, a, b).

// Columns 4c.. of rows r in the even ones, columns of the right half in the odd ones.
var<private> sums: array<vec4f, 16>;

// Adds a term. Drivers load its operands in this order: since the last is wanted first, they wait but once.
fn add_terms(upper: vec4f, lower: vec4f, left: vec4f, right: vec4f) {
    // for j in 0..4:
    //     sums[{2 * j + 9}] = add_term(sums[{2 * j + 9}], lower.{xyzw[j]}, right);
    //     sums[{2 * j + 8}] = add_term(sums[{2 * j + 8}], lower.{xyzw[j]}, left);
    //     sums[{2 * j + 1}] = add_term(sums[{2 * j + 1}], upper.{xyzw[j]}, right);
    //     sums[{2 * j}] = add_term(sums[{2 * j}], upper.{xyzw[j]}, left);
    sums[9] = add_term(sums[9], lower.x, right);
    sums[8] = add_term(sums[8], lower.x, left);
    sums[1] = add_term(sums[1], upper.x, right);
    sums[0] = add_term(sums[0], upper.x, left);
    sums[11] = add_term(sums[11], lower.y, right);
    sums[10] = add_term(sums[10], lower.y, left);
    sums[3] = add_term(sums[3], upper.y, right);
    sums[2] = add_term(sums[2], upper.y, left);
    sums[13] = add_term(sums[13], lower.z, right);
    sums[12] = add_term(sums[12], lower.z, left);
    sums[5] = add_term(sums[5], upper.z, right);
    sums[4] = add_term(sums[4], upper.z, left);
    sums[15] = add_term(sums[15], lower.w, right);
    sums[14] = add_term(sums[14], lower.w, left);
    sums[7] = add_term(sums[7], upper.w, right);
    sums[6] = add_term(sums[6], upper.w, left);
    // end
}
