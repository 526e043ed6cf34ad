// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, iy + pad_y - ky, ix + pad_x - kx, o] * w[ky, kx, i, o], for eight-lane
// software Vulkan
//
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// w   [kernel_height, kernel_width, in_channels, out_channels]    in_channels a multiple of 4
// dx  [batch, in_height, in_width, in_channels]      one group; the stride divides in_height and in_width
//
// One subgroup makes a tile of 32 input pixels × 32 channels, see lib/phases.wgsl and lib/tile.wgsl. A lane loads four
// output channels of its four input channels and turns them over in registers.

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

@group(0) @binding(0) var<storage, read> dz: array<wide4>;
@group(0) @binding(1) var<storage, read> w: array<wide4>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

var<private> column: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (in_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    let row = g / across * 32u;
    column = g % across * 8u + lane;
    let own = 4u * min(column, in_channels / 4u - 1u);
    let steps = out_channels / 4u;
    // The four input pixels whose gradients this lane loads.
    let place = min(row + lane + vec4u(0u, 8u, 16u, 24u), vec4u(batch * in_height * in_width - 1u));
    let pixel = vec4u(pixel_at(place.x), pixel_at(place.y), pixel_at(place.z), pixel_at(place.w));
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            if !tap_meets(row, row + 31u, ky, kx) {
                continue;
            }
            let output = output_pixels(pixel, ky, kx);
            let mask = select(vec4f(0.0), vec4f(1.0), output < vec4u(OUTSIDE));
            let at = select(vec4u(0u), output * steps, output < vec4u(OUTSIDE));
            let tap = ((ky * kernel_width + kx) * in_channels + own) * steps;
            for (var o = 0u; o < steps; o++) {
                let v = tap + o;
                let q = transpose(mat4x4f(
                    four(w[v]), four(w[v + steps]), four(w[v + 2u * steps]), four(w[v + 3u * steps]),
                ));
                tile_add_rows(
                    mask.x * four(dz[at.x + o]), mask.y * four(dz[at.y + o]),
                    mask.z * four(dz[at.z + o]), mask.w * four(dz[at.w + o]),
                    q[0], q[1], q[2], q[3],
                );
            }
        }
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if row < batch * in_height * in_width && column < in_channels / 4u {
        dx[pixel_at(row) * (in_channels / 4u) + column] = values;
    }
}
