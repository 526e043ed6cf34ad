// Appended to every shader: the runner folds long grids into x and y, this unfolds them.

fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
