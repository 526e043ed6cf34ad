// Appended to the shaders with lib/winograd_image.wgsl that store all pixels of a tile.
//
// The shader declares
//   made_size(): lines and columns of the images that it makes;
//   store_pixel(pixel, channel, value), where there may be no such channel.

fn tile_counts() -> vec2u {
    return (made_size() + 1u) / 2u;
}

fn store_tile(tile: u32, channel: u32, pixels: vec4f) {
    let size = made_size();
    let place = tile_at(tile, tile_counts());
    let line = 2u * place.y;
    let column = 2u * place.z;
    let pixel = (place.x * size.x + line) * size.y + column;
    let is_right = column + 1u < size.y;
    let is_below = line + 1u < size.x;
    store_pixel(pixel, channel, pixels.x);
    if is_right {
        store_pixel(pixel + 1u, channel, pixels.y);
    }
    if is_below {
        store_pixel(pixel + size.y, channel, pixels.z);
    }
    if is_right && is_below {
        store_pixel(pixel + size.y + 1u, channel, pixels.w);
    }
}
