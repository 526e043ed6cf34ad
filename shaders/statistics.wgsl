// stats = (mean cost, means of the further terms, gradient norm, non-finite gradient values)
//
// terms    [rows, columns]   from the kernels of a loss: cost, count, further terms; at most 8 columns
// partial  [chunks, 2]       from norm over the gradients
// stats    [columns+1]
//
// The mean cost is the sum of the costs by that of the counts, the mean of a further column c its sum by per_c, which
// is 1 where there is no such column. One workgroup makes it all: each thread sums every 64th row, then a tree adds the
// 64 sums of each column.

override rows: u32;
override columns: u32;
override chunks: u32;
override per_2: f32;
override per_3: f32;
override per_4: f32;
override per_5: f32;
override per_6: f32;
override per_7: f32;

@group(0) @binding(0) var<storage, read> terms: array<f32>;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;

// Of each column of the terms, then of the two of the norm.
var<workgroup> sums: array<f32, 640>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var c = 0u; c < columns; c++) {
        var sum = 0.0;
        for (var t = lane; t < rows; t += 64u) {
            sum += terms[columns * t + c];
        }
        sums[64u * c + lane] = sum;
    }
    for (var c = 0u; c < 2u; c++) {
        var sum = 0.0;
        for (var g = lane; g < chunks; g += 64u) {
            sum += partial[2u * g + c];
        }
        sums[64u * (columns + c) + lane] = sum;
    }
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            for (var c = 0u; c < columns + 2u; c++) {
                sums[64u * c + lane] += sums[64u * c + lane + half];
            }
        }
    }
    if lane == 0u && group_index(group, groups) == 0u {
        var per = array<f32, 8>(1.0, 1.0, per_2, per_3, per_4, per_5, per_6, per_7);
        stats[0] = sums[64u * COST] / max(sums[64u * COUNT], 1.0);
        for (var c = 2u; c < columns; c++) {
            stats[c - 1u] = sums[64u * c] / per[c];
        }
        stats[columns - 1u] = sqrt(sums[64u * columns]);
        stats[columns] = sums[64u * (columns + 1u)];
    }
}
