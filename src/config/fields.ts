/** Kinds of values that several tables of the configuration share. @module */
import * as v from "valibot";

/** Switches, by their default. */
export const off = v.optional(v.boolean(), () => false);
export const on = v.optional(v.boolean(), () => true);

/** A size or a count: never negative. */
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** A duration or a limit for which zero has no meaning. */
export const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

/** Text that may be missing, empty by default. */
export const text = v.optional(v.string(), "");

export const strings = v.optional(v.array(v.string()), []);
