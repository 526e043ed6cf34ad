// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, iy + pad_y - ky, ix + pad_x - kx, o] * w[ky, kx, i, o], for GPUs
//
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// w   [3, 3, in_channels, out_channels]              in_channels a multiple of 4
// dx  [batch, in_height, in_width, in_channels]      stride 1
//
// A convolution by the taps turned round, of outputs with 2 - pad zeros around them. One workgroup makes 32 tiles of
// 2×2 pixels × 32 channels by F(2×2, 3×3), see lib/winograd_block.wgsl.

override batch: u32;
override in_height: u32;
override in_width: u32;
override in_channels: u32;
override out_height: u32;
override out_width: u32;
override out_channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride: u32;
override pad_y: u32;
override pad_x: u32;
override groups: u32;

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (in_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    tiles_make(lane, g / across * 32u, g % across * 32u, out_channels);
}

const COLUMNS_BY_TERMS = true;

fn made_size() -> vec2u {
    return vec2u(in_height, in_width);
}

fn seen_size() -> vec3u {
    return vec3u(out_height, out_width, out_channels / 4u);
}

fn seen_first(tile: vec2u) -> vec2u {
    return 2u * tile + vec2u(pad_y, pad_x) - 2u;
}

fn seen(at: u32) -> vec4f {
    return dz[at];
}

fn columns_line(own: u32, line: u32, start: u32) -> mat4x4f {
    let at = (min(first_channel + own_item(own), in_channels - 1u) * out_channels + start) / 4u;
    let tap = in_channels * (out_channels / 4u);
    return weights_line(line, array(
        w[at + 8u * tap], w[at + 7u * tap], w[at + 6u * tap],
        w[at + 5u * tap], w[at + 4u * tap], w[at + 3u * tap],
        w[at + 2u * tap], w[at + tap], w[at],
    ));
}

fn store_pixel(pixel: u32, channel: u32, value: f32) {
    if channel < in_channels {
        dx[pixel * in_channels + channel] = value;
    }
}
