// Appended to the shaders that take the slope of an activation, which follows from its stored output. They declare
// `override activation: u32`: 0 none, 1 ReLU, 2 sigmoid, 3 ReLU up to 6.

fn slope(output: f32) -> f32 {
    if activation == 1u {
        return select(0.0, 1.0, output > 0.0);
    }
    if activation == 2u {
        return output * (1.0 - output);
    }
    if activation == 3u {
        return select(0.0, 1.0, output > 0.0 && output < 6.0);
    }
    return 1.0;
}

fn slope4(output: vec4f) -> vec4f {
    if activation == 1u {
        return select(vec4f(0.0), vec4f(1.0), output > vec4f(0.0));
    }
    if activation == 2u {
        return output * (vec4f(1.0) - output);
    }
    if activation == 3u {
        return select(vec4f(0.0), vec4f(1.0), (output > vec4f(0.0)) & (output < vec4f(6.0)));
    }
    return vec4f(1.0);
}
