// Appended to the shaders for GPUs whose rows lie in memory term after term, with block.wgsl. Such a shader says in
// terms_of(row, k) what terms 4k..4k+3 of a row are, 0 outside.

// Stages 16 terms from `start` of 128 rows from `row`. One thread has four rows and stores whole vectors, since who
// stores a component may store the whole vector.
fn block_put_terms(lane: u32, row: u32, start: u32) {
    if lane < 128u {
        let r = row + lane / 4u * 4u;
        let k = start / 4u + lane % 4u;
        let rows = mat4x4f(terms_of(r, k), terms_of(r + 1u, k), terms_of(r + 2u, k), terms_of(r + 3u, k));
        let terms = transpose(rows);
        let at = lane % 4u * 132u + lane / 4u;
        block_a[at] = terms[0];
        block_a[at + 33u] = terms[1];
        block_a[at + 66u] = terms[2];
        block_a[at + 99u] = terms[3];
    }
}
