// Every triplet (a, p, n) of the batch that counts adds the slope of its penalty at x = d_ap - d_an to w[a, p] and
// takes it from w[a, n], as in mine.wgsl, for eight-lane software Vulkan
//
// distance  [rows, rows]   squared, not yet scaled; rows = labels * images, those of a label side by side
// w         [rows, rows]   0 on the diagonal
// terms     [rows, 5]      of the triplets with anchor a: sum of the penalties of those that count, their number, the
//                          number of active ones (d_ap - d_an + margin > 0); sum of d_ap over its positives, sum of
//                          d_an over its negatives
//
// One subgroup makes one anchor. Each lane has four of 32 positives, which are spread by broadcast, and one of eight
// negatives at a time, which it compares with all 32, so that nothing is loaded twice. A lane without a positive or
// negative has one that no triplet counts with. Images must be at most 32.

override labels: u32;
override images: u32;
override margin: f32;
override sharpness: f32;
override scale: f32;
override semi_hard: u32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> terms: array<f32>;

// So far apart that a triplet costs nothing and has no slope, also when margin and sharpness come to it.
const FAR = 1e30;

// For each of the 32 positives, what this lane's negatives give it.
var<private> slopes: array<f32, 32>;
// What this lane's negative of the moment is given.
var<private> weight: f32;
// Sums of the penalties and numbers of the triplets that count, and of the active ones.
var<private> triplets: vec3f;

// The slope of the triplet with this positive and this lane's negative, if it counts.
fn slope(d_ap: f32, d_an: f32) -> f32 {
    let cost = penalty(d_ap - d_an);
    let counts = cost.y > 0.0 && (semi_hard == 0u || d_an > d_ap);
    let own = select(0.0, cost.y, counts);
    weight -= own;
    triplets += vec3f(
        select(0.0, cost.x, counts), select(0.0, 1.0, counts), select(0.0, 1.0, d_ap - d_an + margin > 0.0)
    );
    return own;
}

fn store_positive(a: u32, p: u32, end: u32, lane: u32, owner: u32, slopes: f32) {
    let sum = subgroupAdd(slopes);
    if lane == owner && p < end && p != a {
        w[a * labels * images + p] = sum;
    }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let rows = labels * images;
    let a = min(group_index(group, groups), rows - 1u);
    let own = a / images * images;
    let end = own + images;
    var d_ap_sum = 0.0;
    var d_an_sum = 0.0;
    var d_ap = vec4f(-FAR);
    let j = vec4u(own + lane) + vec4u(0u, 8u, 16u, 24u);
    if j.x < end && j.x != a { d_ap.x = scale * distance[a * rows + j.x]; d_ap_sum += d_ap.x; }
    if j.y < end && j.y != a { d_ap.y = scale * distance[a * rows + j.y]; d_ap_sum += d_ap.y; }
    if j.z < end && j.z != a { d_ap.z = scale * distance[a * rows + j.z]; d_ap_sum += d_ap.z; }
    if j.w < end && j.w != a { d_ap.w = scale * distance[a * rows + j.w]; d_ap_sum += d_ap.w; }
    for (var first = 0u; first < rows; first += 8u) {
        let n = first + lane;
        let is_negative = n < rows && (n < own || n >= end);
        var d_an = FAR;
        weight = 0.0;
        if is_negative {
            d_an = scale * distance[a * rows + n];
        }
        // for p in 0..32:
        //     slopes[{p}] += slope(subgroupBroadcast(d_ap.{xyzw[p / 8]}, {p % 8}u), d_an);
        slopes[0] += slope(subgroupBroadcast(d_ap.x, 0u), d_an);
        slopes[1] += slope(subgroupBroadcast(d_ap.x, 1u), d_an);
        slopes[2] += slope(subgroupBroadcast(d_ap.x, 2u), d_an);
        slopes[3] += slope(subgroupBroadcast(d_ap.x, 3u), d_an);
        slopes[4] += slope(subgroupBroadcast(d_ap.x, 4u), d_an);
        slopes[5] += slope(subgroupBroadcast(d_ap.x, 5u), d_an);
        slopes[6] += slope(subgroupBroadcast(d_ap.x, 6u), d_an);
        slopes[7] += slope(subgroupBroadcast(d_ap.x, 7u), d_an);
        slopes[8] += slope(subgroupBroadcast(d_ap.y, 0u), d_an);
        slopes[9] += slope(subgroupBroadcast(d_ap.y, 1u), d_an);
        slopes[10] += slope(subgroupBroadcast(d_ap.y, 2u), d_an);
        slopes[11] += slope(subgroupBroadcast(d_ap.y, 3u), d_an);
        slopes[12] += slope(subgroupBroadcast(d_ap.y, 4u), d_an);
        slopes[13] += slope(subgroupBroadcast(d_ap.y, 5u), d_an);
        slopes[14] += slope(subgroupBroadcast(d_ap.y, 6u), d_an);
        slopes[15] += slope(subgroupBroadcast(d_ap.y, 7u), d_an);
        slopes[16] += slope(subgroupBroadcast(d_ap.z, 0u), d_an);
        slopes[17] += slope(subgroupBroadcast(d_ap.z, 1u), d_an);
        slopes[18] += slope(subgroupBroadcast(d_ap.z, 2u), d_an);
        slopes[19] += slope(subgroupBroadcast(d_ap.z, 3u), d_an);
        slopes[20] += slope(subgroupBroadcast(d_ap.z, 4u), d_an);
        slopes[21] += slope(subgroupBroadcast(d_ap.z, 5u), d_an);
        slopes[22] += slope(subgroupBroadcast(d_ap.z, 6u), d_an);
        slopes[23] += slope(subgroupBroadcast(d_ap.z, 7u), d_an);
        slopes[24] += slope(subgroupBroadcast(d_ap.w, 0u), d_an);
        slopes[25] += slope(subgroupBroadcast(d_ap.w, 1u), d_an);
        slopes[26] += slope(subgroupBroadcast(d_ap.w, 2u), d_an);
        slopes[27] += slope(subgroupBroadcast(d_ap.w, 3u), d_an);
        slopes[28] += slope(subgroupBroadcast(d_ap.w, 4u), d_an);
        slopes[29] += slope(subgroupBroadcast(d_ap.w, 5u), d_an);
        slopes[30] += slope(subgroupBroadcast(d_ap.w, 6u), d_an);
        slopes[31] += slope(subgroupBroadcast(d_ap.w, 7u), d_an);
        // end
        if is_negative {
            w[a * rows + n] = weight;
            d_an_sum += d_an;
        }
    }
    // for p in 0..32:
    //     store_positive(a, own + {p}u, end, lane, {p % 8}u, slopes[{p}]);
    store_positive(a, own + 0u, end, lane, 0u, slopes[0]);
    store_positive(a, own + 1u, end, lane, 1u, slopes[1]);
    store_positive(a, own + 2u, end, lane, 2u, slopes[2]);
    store_positive(a, own + 3u, end, lane, 3u, slopes[3]);
    store_positive(a, own + 4u, end, lane, 4u, slopes[4]);
    store_positive(a, own + 5u, end, lane, 5u, slopes[5]);
    store_positive(a, own + 6u, end, lane, 6u, slopes[6]);
    store_positive(a, own + 7u, end, lane, 7u, slopes[7]);
    store_positive(a, own + 8u, end, lane, 0u, slopes[8]);
    store_positive(a, own + 9u, end, lane, 1u, slopes[9]);
    store_positive(a, own + 10u, end, lane, 2u, slopes[10]);
    store_positive(a, own + 11u, end, lane, 3u, slopes[11]);
    store_positive(a, own + 12u, end, lane, 4u, slopes[12]);
    store_positive(a, own + 13u, end, lane, 5u, slopes[13]);
    store_positive(a, own + 14u, end, lane, 6u, slopes[14]);
    store_positive(a, own + 15u, end, lane, 7u, slopes[15]);
    store_positive(a, own + 16u, end, lane, 0u, slopes[16]);
    store_positive(a, own + 17u, end, lane, 1u, slopes[17]);
    store_positive(a, own + 18u, end, lane, 2u, slopes[18]);
    store_positive(a, own + 19u, end, lane, 3u, slopes[19]);
    store_positive(a, own + 20u, end, lane, 4u, slopes[20]);
    store_positive(a, own + 21u, end, lane, 5u, slopes[21]);
    store_positive(a, own + 22u, end, lane, 6u, slopes[22]);
    store_positive(a, own + 23u, end, lane, 7u, slopes[23]);
    store_positive(a, own + 24u, end, lane, 0u, slopes[24]);
    store_positive(a, own + 25u, end, lane, 1u, slopes[25]);
    store_positive(a, own + 26u, end, lane, 2u, slopes[26]);
    store_positive(a, own + 27u, end, lane, 3u, slopes[27]);
    store_positive(a, own + 28u, end, lane, 4u, slopes[28]);
    store_positive(a, own + 29u, end, lane, 5u, slopes[29]);
    store_positive(a, own + 30u, end, lane, 6u, slopes[30]);
    store_positive(a, own + 31u, end, lane, 7u, slopes[31]);
    // end
    let cost = subgroupAdd(triplets.x);
    let counting = subgroupAdd(triplets.y);
    let violating = subgroupAdd(triplets.z);
    let positive = subgroupAdd(d_ap_sum);
    let negative = subgroupAdd(d_an_sum);
    if lane == 0u {
        w[a * rows + a] = 0.0;
        terms[TERMS * a + COST] = cost;
        terms[TERMS * a + COUNT] = counting;
        terms[TERMS * a + ACTIVE] = violating;
        terms[TERMS * a + D_AP] = positive;
        terms[TERMS * a + D_AN] = negative;
    }
}
