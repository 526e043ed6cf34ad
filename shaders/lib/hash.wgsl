// Appended to shaders that need random bits: an integer hash by C. Wellons, lowbias32.

fn hash(bits: u32) -> u32 {
    var x = bits;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

fn hash4(bits: vec4u) -> vec4u {
    var x = bits;
    x = (x ^ (x >> vec4u(16u))) * 0x7feb352du;
    x = (x ^ (x >> vec4u(15u))) * 0x846ca68bu;
    return x ^ (x >> vec4u(16u));
}
