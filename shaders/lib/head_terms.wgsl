// Appended to the shaders of losses with a weight vector for each class: the columns of their terms behind those that
// every loss has.

// 1 where no other class is as near as the own one.
const HIT = 2u;
// Product of row and own class.
const OWN = 3u;
// The largest product of row and another class.
const OTHER = 4u;
