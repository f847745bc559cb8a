/**
 * Tokens of a text, for the choice of how products share their sums. Texts of a batch differ in length and one product
 * serves them all, so that choice is made by a constant: an image must not depend on the texts of others.
 */
export const TEXT_TOKENS = 64;
