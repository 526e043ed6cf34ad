// Appended to the shaders of the triplet loss: the columns of its terms behind those that every loss has.

// Number of active triplets, those with d_ap - d_an + margin > 0.
const ACTIVE = 2u;
// Sum of distances of anchor and positive.
const D_AP = 3u;
// Sum of distances of anchor and negative.
const D_AN = 4u;
// Columns.
const TERMS = 5u;
