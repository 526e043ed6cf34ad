// Appended to shaders with a fused activation. They declare `override activation: u32`: 0 none, 1 ReLU, 2 sigmoid,
// 3 ReLU up to 6.

fn activate(z: f32) -> f32 {
    if activation == 1u {
        return max(z, 0.0);
    }
    if activation == 3u {
        return clamp(z, 0.0, 6.0);
    }
    if activation == 2u {
        return 1.0 / (1.0 + exp(-z));
    }
    return z;
}

fn activate4(z: vec4f) -> vec4f {
    if activation == 1u {
        return max(z, vec4f(0.0));
    }
    if activation == 3u {
        return clamp(z, vec4f(0.0), vec4f(6.0));
    }
    if activation == 2u {
        return 1.0 / (1.0 + exp(-z));
    }
    return z;
}
