// Appended to the shaders of topk: each of 64 threads keeps the k best columns that it meets, nearest first, then the
// first thread merges the 64 sorted lists.

const CAPACITY = 16u;

var<private> best: array<f32, CAPACITY>;
var<private> column: array<u32, CAPACITY>;

var<workgroup> shared_distance: array<f32, 1024>;
var<workgroup> shared_column: array<u32, 1024>;

// A place without a column is empty; no distance, however large, stands for that.
fn best_begin() {
    for (var j = 0u; j < k; j++) {
        column[j] = references;
    }
}

fn best_add(value: f32, r: u32) {
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

fn best_merge(lane: u32, q: u32) {
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
