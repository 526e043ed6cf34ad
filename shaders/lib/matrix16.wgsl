// Appended to the shaders that multiply by cooperative matrices of 16 × 16, with lib/matrix.wgsl.

const TILE = 16u;
alias TileOfRows = coop_mat16x16<f16, A>;
alias TileOfColumns = coop_mat16x16<f16, B>;
alias TileOfSums = coop_mat16x16<f32, C>;
