// Appended to the shaders that have the terms of a loss: the columns that those of every loss begin with.

// Sum of what is in the mean that is the loss.
const COST = 0u;
// How many are in it.
const COUNT = 1u;
