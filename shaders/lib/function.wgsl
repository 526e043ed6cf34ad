// Appended to the shaders of functions value by value. They declare `override function: u32`: 0 times `factor`, 1 below
// zero times `factor`, 2 SiLU, 3 hard swish; and `override factor: f32`.

fn value(x: f32) -> f32 {
    if function == 0u {
        return factor * x;
    }
    if function == 1u {
        return select(factor * x, x, x > 0.0);
    }
    if function == 2u {
        return x / (1.0 + exp(-x));
    }
    return select(select(x * (x + 3.0) / 6.0, x, x > 3.0), 0.0, x < -3.0);
}

fn slope(x: f32) -> f32 {
    if function == 0u {
        return factor;
    }
    if function == 1u {
        return select(factor, 1.0, x > 0.0);
    }
    if function == 2u {
        let share = 1.0 / (1.0 + exp(-x));
        return share * (1.0 + x * (1.0 - share));
    }
    return select(select((x + x + 3.0) / 6.0, 1.0, x > 3.0), 0.0, x < -3.0);
}

fn value4(x: vec4f) -> vec4f {
    if function == 0u {
        return factor * x;
    }
    if function == 1u {
        return select(factor * x, x, x > vec4f(0.0));
    }
    if function == 2u {
        return x / (1.0 + exp(-x));
    }
    return select(select(x * (x + 3.0) / 6.0, x, x > vec4f(3.0)), vec4f(0.0), x < vec4f(-3.0));
}

fn slope4(x: vec4f) -> vec4f {
    if function == 0u {
        return vec4f(factor);
    }
    if function == 1u {
        return select(vec4f(factor), vec4f(1.0), x > vec4f(0.0));
    }
    if function == 2u {
        let share = 1.0 / (1.0 + exp(-x));
        return share * (1.0 + x * (1.0 - share));
    }
    return select(select((x + x + 3.0) / 6.0, vec4f(1.0), x > vec4f(3.0)), vec4f(0.0), x < vec4f(-3.0));
}
