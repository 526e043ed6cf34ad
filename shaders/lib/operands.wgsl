// Appended to the shaders for GPUs, with lib/block_terms.wgsl or lib/slices.wgsl: what a thread has sent for.

// Of rows, and which of it is not 0.
var<private> loaded: array<Loaded, 4>;
var<private> inside: Inside;

// A term that there is: k, or the last. Where terms fill every block that costs nothing.
fn block_term(k: u32, terms: u32) -> u32 {
    return select(min(k, terms - 1u), k, terms % BLOCK_TERMS == 0u);
}

// As block_term, of terms by fours.
fn block_four(k: u32, terms: u32) -> u32 {
    return select(min(k, terms / 4u - 1u), k, terms % BLOCK_TERMS == 0u);
}
