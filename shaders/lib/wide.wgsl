// Appended to the shaders for eight-lane software Vulkan, which loads lane by lane, 32 or 64 bits at a time. A load is
// as dear as dozens of multiply-adds: four values come as two of 64 bits.

alias wide4 = vec2<u64>;

fn four(values: wide4) -> vec4f {
    let even = vec2u(values);
    let odd = vec2u(values >> vec2u(32u));
    return bitcast<vec4f>(vec4u(even.x, odd.x, even.y, odd.y));
}
