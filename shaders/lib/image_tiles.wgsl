// Appended to the shaders that go by F(2×2, 3×3): tiles of 2×2 pixels, image by image and row by row.

// Image, row and column of a tile, where images have so many rows and columns of them.
fn tile_at(tile: u32, size: vec2u) -> vec3u {
    return vec3u(tile / (size.x * size.y), tile / size.y % size.x, tile % size.y);
}
