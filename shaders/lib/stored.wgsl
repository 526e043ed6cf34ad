// Appended to shaders that read or write images and activations, which are stored as f32 or, for
// `--precision f16`, as f16 (stored_f16.wgsl). They compute in f32 either way.

alias stored = f32;
alias stored4 = vec4f;
