// Appended to the shaders that multiply by cooperative matrices of 8 × 8, with lib/matrix.wgsl.

const TILE = 8u;
alias TileOfRows = coop_mat8x8<f16, A>;
alias TileOfColumns = coop_mat8x8<f16, B>;
alias TileOfSums = coop_mat8x8<f32, C>;
