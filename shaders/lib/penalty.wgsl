// Appended to the shaders of the loss. They declare `override margin: f32` and `override sharpness: f32`, which is 0
// for the hinge max(x + margin, 0) and above 0 for the soft margin ln(1 + exp(sharpness*x)) / sharpness.

// What a triplet costs at x = d_ap - d_an, and the slope of that.
fn penalty(x: f32) -> vec2f {
    if sharpness > 0.0 {
        // Only of numbers below 0 is the exponential taken, so that it cannot overflow.
        let small = exp(-abs(sharpness * x));
        let slope = select(small, 1.0, x > 0.0) / (1.0 + small);
        return vec2f(max(x, 0.0) + log(1.0 + small) / sharpness, slope);
    }
    return vec2f(max(x + margin, 0.0), select(0.0, 1.0, x + margin > 0.0));
}
