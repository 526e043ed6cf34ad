// For each row the columns of its k smallest distances, nearest first; of equal ones the lower column first
//
// distance  [queries, references]
// index     [queries, k]   k at most 16
// nearest   [queries, k]   the distances
//
// One workgroup makes one query: each thread keeps the k best of every 64th column, then the first thread merges the
// 64 sorted lists.

override queries: u32;
override references: u32;
override k: u32;

const CAPACITY = 16u;
@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read_write> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> nearest: array<f32>;

var<workgroup> shared_distance: array<f32, 1024>;
var<workgroup> shared_column: array<u32, 1024>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let q = min(group_index(group, groups), queries - 1u);
    var best: array<f32, CAPACITY>;
    var column: array<u32, CAPACITY>;
    // A place without a column is empty; no distance, however large, stands for that.
    for (var j = 0u; j < k; j++) {
        column[j] = references;
    }
    for (var r = lane; r < references; r += 64u) {
        let value = distance[q * references + r];
        if value < best[k - 1u] || column[k - 1u] == references {
            var j = k - 1u;
            for (; j > 0u; j--) {
                if column[j - 1u] != references && best[j - 1u] <= value {
                    break;
                }
                best[j] = best[j - 1u];
                column[j] = column[j - 1u];
            }
            best[j] = value;
            column[j] = r;
        }
    }
    for (var j = 0u; j < k; j++) {
        shared_distance[lane * CAPACITY + j] = best[j];
        shared_column[lane * CAPACITY + j] = column[j];
    }
    workgroupBarrier();
    if lane == 0u {
        var head: array<u32, 64>;
        for (var j = 0u; j < k; j++) {
            var winner = 0u;
            var winning = 0.0;
            var winning_column = references;
            for (var list = 0u; list < 64u; list++) {
                let at = list * CAPACITY + min(head[list], k - 1u);
                let is_left = head[list] < k && shared_column[at] != references;
                let closer = winning_column == references || shared_distance[at] < winning;
                let equal_but_lower = shared_distance[at] == winning && shared_column[at] < winning_column;
                if is_left && (closer || equal_but_lower) {
                    winner = list;
                    winning = shared_distance[at];
                    winning_column = shared_column[at];
                }
            }
            head[winner] += 1u;
            index[q * k + j] = winning_column;
            nearest[q * k + j] = winning;
        }
    }
}
