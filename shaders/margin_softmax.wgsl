// Cross-entropy of a softmax over classes, with a margin for the own class y = labels[n] of a row:
//   l[j] = scale * c[j], where c = z[n] before;  l[y] = scale * (cos(theta + angle) - margin), where cos(theta) = c[y]
//   cost = ln(sum over j of exp(l[j])) - (1 - smoothing) * l[y] - smoothing / classes * (sum over j of l[j])
//   z[n, j] = gradient of the mean cost by c[j]
//
// labels  [rows]
// z       [rows, classes]   products of rows and classes; cosines where there is an angle
// terms   [rows, columns]   cost; 1; 1 where c[y] is above all other c[j]; c[y]; the largest other c[j]; then 0
//
// cosine and sine are those of the angle, drop is angle * sine. Past theta = pi - angle the cosine would rise again,
// and cos(theta) - drop goes on falling. 1 - c^2 is taken as a product, which keeps its digits near 1.
//
// One workgroup makes one row, each thread every 64th class; trees find the largest and add. Exponentials are taken of
// what is below the largest, so that none overflows.

override rows: u32;
override classes: u32;
override columns: u32;
override scale: f32;
override cosine: f32;
override sine: f32;
override drop: f32;
override margin: f32;
override smoothing: f32;

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read_write> z: array<f32>;
@group(0) @binding(2) var<storage, read_write> terms: array<f32>;

// Columns of the terms behind those that every loss has.
const HIT = 2u;
const OWN = 3u;
const OTHER = 4u;

// 1 - 2^-20: nearer to 1 the angle's slope has no digits.
const MOST = 0.99999904632568359375;

// l of the own class, and its slope by c, both before the scale.
fn own(c: f32) -> vec2f {
    if sine > 0.0 {
        if c < -cosine {
            return vec2f(c - drop - margin, 1.0);
        }
        let inner = clamp(c, -MOST, MOST);
        let root = sqrt((1.0 - inner) * (1.0 + inner));
        return vec2f(inner * cosine - root * sine - margin, cosine + inner / root * sine);
    }
    return vec2f(c - margin, 1.0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let n = min(group_index(group, groups), rows - 1u);
    // A workgroup past the last row has no classes to look at, and writes nothing.
    let end = select(0u, classes, group_index(group, groups) < rows);
    let label = min(labels[n], classes - 1u);
    let c_own = z[n * classes + label];
    let l_own = own(c_own);
    // Of all l, and of the other c.
    var most = vec2f(-3e38);
    var sum = 0.0;
    for (var j = lane; j < end; j += 64u) {
        var l = scale * l_own.x;
        if j != label {
            let c = z[n * classes + j];
            l = scale * c;
            most.y = max(most.y, c);
        }
        most.x = max(most.x, l);
        sum += l;
    }
    most = largest(lane, vec4f(most, 0.0, 0.0)).xy;
    let top = most.x;
    let other = most.y;
    var exponentials = 0.0;
    for (var j = lane; j < end; j += 64u) {
        let l = scale * select(z[n * classes + j], l_own.x, j == label);
        exponentials += exp(l - top);
    }
    // Of all l, and of their exponentials.
    let all = total(lane, vec4f(sum, exponentials, 0.0, 0.0)).xy;
    let even = smoothing / f32(classes);
    for (var j = lane; j < end; j += 64u) {
        let is_own = j == label;
        let l = scale * select(z[n * classes + j], l_own.x, is_own);
        let wanted = even + select(0.0, 1.0 - smoothing, is_own);
        let slope = select(1.0, l_own.y, is_own);
        z[n * classes + j] = scale / f32(rows) * slope * (exp(l - top) / all.y - wanted);
    }
    if end > 0u {
        for (var column = lane; column < columns; column += 64u) {
            var term = 0.0;
            if column == COST {
                term = top + log(all.y) - (1.0 - smoothing) * scale * l_own.x - even * all.x;
            } else if column == COUNT {
                term = 1.0;
            } else if column == HIT {
                term = select(0.0, 1.0, c_own > other);
            } else if column == OWN {
                term = c_own;
            } else if column == OTHER {
                term = other;
            }
            terms[n * columns + column] = term;
        }
    }
}
