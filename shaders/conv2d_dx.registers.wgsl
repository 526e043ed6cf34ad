// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, iy + pad_y - ky, ix + pad_x - kx, o] * w[ky, kx, i, o], for any
// device; one group, the stride divides in_height and in_width
//
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation; out_channels a multiple of 4
// w   [kernel_height, kernel_width, in_channels, out_channels]
// dx  [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
//
// One thread makes a tile of 8 pixels × 8 channels of dx, see lib/phases.wgsl and lib/registers.wgsl; neighbours
// have the same pixels. It loads four output channels of each of its input channels and turns them over.

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
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (in_channels + 7u) / 8u;
    let index = group_index(group, workgroups) * 64u + lane;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let steps = out_channels / 4u;
    let right = 4u * (min(column + 1u, in_channels / 4u - 1u) - column) * steps;
    let last = vec4u(batch * in_height * in_width - 1u);
    let first = min(row + vec4u(0u, 1u, 2u, 3u), last);
    let second = min(row + vec4u(4u, 5u, 6u, 7u), last);
    let upper = vec4u(pixel_at(first.x), pixel_at(first.y), pixel_at(first.z), pixel_at(first.w));
    let lower = vec4u(pixel_at(second.x), pixel_at(second.y), pixel_at(second.z), pixel_at(second.w));
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            if !tap_meets(row, row + 7u, ky, kx) {
                continue;
            }
            let t = output_pixels(upper, ky, kx);
            let u = output_pixels(lower, ky, kx);
            let m = select(vec4f(0.0), vec4f(1.0), t < vec4u(OUTSIDE));
            let n = select(vec4f(0.0), vec4f(1.0), u < vec4u(OUTSIDE));
            let a = select(vec4u(0u), t * steps, t < vec4u(OUTSIDE));
            let c = select(vec4u(0u), u * steps, u < vec4u(OUTSIDE));
            let tap = ((ky * kernel_width + kx) * in_channels + 4u * column) * steps;
            for (var o = 0u; o < steps; o++) {
                let l = tap + o;
                let r = l + right;
                let p = transpose(mat4x4f(w[l], w[l + steps], w[l + 2u * steps], w[l + 3u * steps]));
                let q = transpose(mat4x4f(w[r], w[r + steps], w[r + 2u * steps], w[r + 3u * steps]));
                sums_add_rows(
                    m.x * dz[a.x + o], m.y * dz[a.y + o], m.z * dz[a.z + o], m.w * dz[a.w + o],
                    n.x * dz[c.x + o], n.y * dz[c.y + o], n.z * dz[c.z + o], n.w * dz[c.w + o],
                    p[0], p[1], p[2], p[3], q[0], q[1], q[2], q[3],
                );
            }
        }
    }
    sums_store(row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < batch * in_height * in_width && column < in_channels / 4u {
        dx[pixel_at(row) * (in_channels / 4u) + column] = values;
    }
}
