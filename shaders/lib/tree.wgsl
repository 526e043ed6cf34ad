// Appended to shaders whose workgroups of 64 threads join a vector of each thread by a tree. Every thread takes part.

var<workgroup> branches: array<vec4f, 64>;

// The sum of all threads' vectors.
fn total(lane: u32, own: vec4f) -> vec4f {
    // What the last tree made has been read.
    workgroupBarrier();
    branches[lane] = own;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            branches[lane] += branches[lane + half];
        }
    }
    workgroupBarrier();
    return branches[0];
}

// The largest of all threads' vectors, each component by itself.
fn largest(lane: u32, own: vec4f) -> vec4f {
    workgroupBarrier();
    branches[lane] = own;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            branches[lane] = max(branches[lane], branches[lane + half]);
        }
    }
    workgroupBarrier();
    return branches[0];
}
