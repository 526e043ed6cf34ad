// Appended to the shaders that keep a tile in registers: four terms of a row's sums.

// c + a.x*b0 + a.y*b1 + a.z*b2 + a.w*b3
fn multiply_add(c: vec4f, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) -> vec4f {
    return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, c))));
}

// c + (a.x - b0)^2 + (a.y - b1)^2 + (a.z - b2)^2 + (a.w - b3)^2
fn square_add(c: vec4f, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) -> vec4f {
    let d0 = vec4f(a.x) - b0;
    let d1 = vec4f(a.y) - b1;
    let d2 = vec4f(a.z) - b2;
    let d3 = vec4f(a.w) - b3;
    return fma(d3, d3, fma(d2, d2, fma(d1, d1, fma(d0, d0, c))));
}
