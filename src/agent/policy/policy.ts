/**
 * Decides whether the host may ask this guest for something. An ordinary guest allows all: the host is trusted.
 * An engine that reads rules is another {@linkcode Policy}, and stands beside this file; `guarded()` in
 * `services/mod.ts` is the door where it is asked.
 *
 * @module
 */

/** Decision of a policy on a request. */
export type Verdict = { isAllowed: true } | {
  isAllowed: false;
  /** Reason of the refusal, for the author of the rules; empty if the rules give none. */
  why: string;
};

/** Judges requests before they have any effect. */
export interface Policy {
  /**
   * @param method As the API spells it: `CreateContainer`.
   * @param request The message; its `$typeName` is `grpc.CreateContainerRequest`.
   */
  allows(method: string, request: unknown): Verdict | Promise<Verdict>;
}

/** The policy of a guest without rules. Where it stands, calls go straight to what answers them. */
export const ALLOW_ALL: Policy = { allows: () => ({ isAllowed: true }) };
