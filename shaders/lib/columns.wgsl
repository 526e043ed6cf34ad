// Appended to shaders whose workgroups of 256 threads sum columns of vectors that lie side by side: thread `lane` adds
// up some rows of column `lane % across`, and a tree joins those of one column. Every thread takes part.

var<workgroup> branches: array<vec4f, 256>;

// How many columns a workgroup takes of so many: a power of two, 16 at most.
fn columns_across(columns: u32) -> u32 {
    let few = select(select(4u, 2u, columns <= 2u), 1u, columns <= 1u);
    return select(select(16u, 8u, columns <= 8u), few, columns <= 4u);
}

// The sum of a thread's column.
fn column_total(lane: u32, across: u32, own: vec4f) -> vec4f {
    // What the last tree made has been read.
    workgroupBarrier();
    branches[lane] = own;
    for (var half = 128u; half >= across; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            branches[lane] += branches[lane + half];
        }
    }
    workgroupBarrier();
    return branches[lane % across];
}
