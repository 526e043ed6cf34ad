// A class pulls the rows that are its own and pushes the others, the hardest most, by the cosines c = z[k] before of
// its proxy k and the rows n:
//   pull = ln(1 + sum over own n of exp(alpha * (margin - c[n])))
//   push = ln(1 + sum over other n of exp(alpha * (margin + c[n])))
//   cost = classes / present * pull + push, whose mean over the classes is the loss
//   z[k, n] = gradient of the loss by c[n]
//
// labels  [rows]            the class of each row
// z       [classes, rows]
// terms   [classes, 4]      cost; 1; sum of c[n] over own rows; sum of c[n] over other rows / (classes - 1)
//
// present is the number of classes that have rows. Kim et al., Proxy Anchor Loss for Deep Metric Learning, 2020,
// equation 4. One workgroup makes one class, each thread every 64th row; trees find the largest and add. Exponentials
// are taken of what is below the largest, so that none overflows.

override rows: u32;
override classes: u32;
override present: u32;
override alpha: f32;
override margin: f32;

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read_write> z: array<f32>;
@group(0) @binding(2) var<storage, read_write> terms: array<f32>;

// Columns of the terms behind those that every loss has, and how many there are.
const OWN_ROWS = 2u;
const OTHER_ROWS = 3u;
const TERMS = 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let k = min(group_index(group, groups), classes - 1u);
    // A workgroup past the last class has no rows to look at, and writes nothing.
    let end = select(0u, rows, group_index(group, groups) < classes);
    // Of pull and of push. The 1 in the logarithm is the exponential of 0.
    var most = vec2f(0.0);
    for (var n = lane; n < end; n += 64u) {
        let c = z[k * rows + n];
        if labels[n] == k {
            most.x = max(most.x, alpha * (margin - c));
        } else {
            most.y = max(most.y, alpha * (margin + c));
        }
    }
    let top = largest(lane, vec4f(most, 0.0, 0.0)).xy;
    // Exponentials of pull and of push, cosines of own and of other rows.
    var sum = vec4f(0.0);
    for (var n = lane; n < end; n += 64u) {
        let c = z[k * rows + n];
        if labels[n] == k {
            sum += vec4f(exp(alpha * (margin - c) - top.x), 0.0, c, 0.0);
        } else {
            sum += vec4f(0.0, exp(alpha * (margin + c) - top.y), 0.0, c);
        }
    }
    let all = total(lane, sum);
    let pull = all.x + exp(-top.x);
    let push = all.y + exp(-top.y);
    for (var n = lane; n < end; n += 64u) {
        let c = z[k * rows + n];
        if labels[n] == k {
            z[k * rows + n] = -alpha / f32(present) * exp(alpha * (margin - c) - top.x) / pull;
        } else {
            z[k * rows + n] = alpha / f32(classes) * exp(alpha * (margin + c) - top.y) / push;
        }
    }
    if lane == 0u && end > 0u {
        let pulled = top.x + log(pull);
        let pushed = top.y + log(push);
        terms[TERMS * k + COST] = f32(classes) / f32(present) * pulled + pushed;
        terms[TERMS * k + COUNT] = 1.0;
        terms[TERMS * k + OWN_ROWS] = all.z;
        terms[TERMS * k + OTHER_ROWS] = all.w / f32(classes - 1u);
    }
}
