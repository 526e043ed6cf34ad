// Takes the place of stored.wgsl where images and activations are stored as f16; `enable f16;` is put before the first
// line of the shader.

alias stored = f16;
alias stored4 = vec4<f16>;
