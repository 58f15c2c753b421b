/**
 * Errors as the whole project words them: the message says what we could not do, the cause says why, and only the top
 * (main.ts, an RPC server) prints the chain.
 *
 * @module
 */

/** The conditions that a caller tells apart; each maps to one RPC code, see `rpc/ttrpc/interceptors.ts`. */
export type KataErrorCode =
  | "ABORTED"
  | "ALREADY_EXISTS"
  | "CANCELED"
  | "DEADLINE_EXCEEDED"
  | "FAILED_PRECONDITION"
  | "INTERNAL"
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "UNAVAILABLE"
  | "UNIMPLEMENTED";

/** An error with a code that callers act on. Throw a plain `Error` where nobody would. */
export class KataError extends Error {
  override readonly name: string = "KataError";

  constructor(readonly code: KataErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The code of the outermost {@linkcode KataError} in the chain of causes. */
export function errorCode(error: unknown): KataErrorCode | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof KataError) return at.code;
    if (at instanceof SuppressedError) return errorCode(at.suppressed);
  }
  return undefined;
}

/** One line for people: each message of the chain, outermost first. */
export function errorChain(error: unknown): string {
  if (error instanceof SuppressedError) {
    // `.suppressed` is the first failure, `.error` the one of the clean-up.
    return `${errorChain(error.suppressed)} (then, while cleaning up: ${errorChain(error.error)})`;
  }
  if (error instanceof AggregateError) return error.errors.map(errorChain).join("; ");
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${errorChain(error.cause)}`;
}
