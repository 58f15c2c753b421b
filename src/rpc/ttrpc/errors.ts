/**
 * Errors on the wire: a code and one line of text, the chain of causes included, since the peer cannot ask for more.
 *
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { type Any, anyPack, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorChain, errorCode, KataError, type KataErrorCode } from "../../base/error.ts";
import { cutText, plainText } from "../../base/text.ts";
import { type Status, StatusSchema } from "../../proto/rpc_status_pb.ts";

const CODES = {
  ABORTED: Code.Aborted,
  ALREADY_EXISTS: Code.AlreadyExists,
  CANCELED: Code.Canceled,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  INTERNAL: Code.Internal,
  INVALID_ARGUMENT: Code.InvalidArgument,
  NOT_FOUND: Code.NotFound,
  PERMISSION_DENIED: Code.PermissionDenied,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  UNAVAILABLE: Code.Unavailable,
  UNIMPLEMENTED: Code.Unimplemented,
} as const satisfies Record<KataErrorCode, Code>;

/** The other way round. A code that no KataError has becomes the one on which callers act alike. */
const KATA_CODES: ReadonlyMap<Code, KataErrorCode> = new Map<Code, KataErrorCode>([
  ...Object.entries(CODES).map(([kata, code]) => [code, kata as KataErrorCode] as const),
  [Code.OutOfRange, "INVALID_ARGUMENT"],
  [Code.Unauthenticated, "PERMISSION_DENIED"],
  [Code.Unknown, "INTERNAL"],
  [Code.DataLoss, "INTERNAL"],
]);

const ERRNO_CODES: Readonly<Record<string, Code>> = {
  EACCES: Code.PermissionDenied,
  EPERM: Code.PermissionDenied,
  EBUSY: Code.FailedPrecondition,
  ECANCELED: Code.Canceled,
  ECONNREFUSED: Code.Unavailable,
  ECONNRESET: Code.Unavailable,
  EPIPE: Code.Unavailable,
  EDQUOT: Code.ResourceExhausted,
  EMFILE: Code.ResourceExhausted,
  ENFILE: Code.ResourceExhausted,
  ENOMEM: Code.ResourceExhausted,
  ENOSPC: Code.ResourceExhausted,
  EEXIST: Code.AlreadyExists,
  EINVAL: Code.InvalidArgument,
  ENOENT: Code.NotFound,
  ESRCH: Code.NotFound,
  ENOSYS: Code.Unimplemented,
  EOPNOTSUPP: Code.Unimplemented,
  ETIMEDOUT: Code.DeadlineExceeded,
};

/**
 * Chooses the code for the peer: that of the first KataError in the chain of causes, else of the first ConnectError (an
 * answer of another server, handed on), else of the first errno.
 */
export function rpcCode(error: unknown): Code | undefined {
  const kata = errorCode(error);
  if (kata !== undefined) return CODES[kata];
  const chain = causes(error);
  const rpc = chain.find((cause) => cause instanceof ConnectError);
  if (rpc !== undefined) return rpc.code;
  const named = chain.find((cause) => cause.name === "AbortError" || cause.name === "TimeoutError");
  if (named !== undefined) return named.name === "AbortError" ? Code.Canceled : Code.DeadlineExceeded;
  // Told by its shape, because this folder does not know src/linux; errors of Deno itself have the same property.
  return chain.map((cause) => "code" in cause ? ERRNO_CODES[String(cause.code)] : undefined).find(isCode);
}

/**
 * The failure of a call for callers that know nothing of the wire: code, text and causes are kept, a status' details are
 * not. Whatever a peer has not said itself is wrong with the request, which could not even be encoded.
 */
export function callError(error: unknown, method: string): KataError {
  if (error instanceof KataError) return error;
  if (!(error instanceof ConnectError)) {
    return new KataError("INVALID_ARGUMENT", `Cannot encode the request of ${method}`, { cause: error });
  }
  // The ConnectError itself would say the same text twice in a chain of causes.
  const options = error.cause === undefined ? {} : { cause: error.cause };
  return new KataError(KATA_CODES.get(error.code) ?? "INTERNAL", error.message, options);
}

/** The text of a status, in both directions. People read it on terminals, and of a longer one no line. */
export const MAX_STATUS_BYTES = 4096;
/** All details of a status together, type names included. */
const MAX_DETAILS_BYTES = 16 << 10;

/** Never throws and never gives more than a frame holds. @param fallback The code of an error that carries none. */
export function errorToStatus(error: unknown, fallback: Code): Status {
  const text = error instanceof ConnectError ? error.rawMessage : errorChain(error);
  return create(StatusSchema, {
    code: rpcCode(error) ?? fallback,
    message: plainStatus(text),
    details: error instanceof ConnectError ? packDetails(error) : [],
  });
}

/** The error that a call throws when the peer answers with this status. */
export function statusToError({ code, message, details }: Status): ConnectError {
  const error = rpcError(plainStatus(message), code in Code ? code : Code.Unknown);
  error.isWireError = true;
  error.details = within(details).map(({ typeUrl, value }) => {
    return { type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value };
  });
  return error;
}

/** Cuts the text before and after: the escape of a control character is longer than the character. */
function plainStatus(text: string): string {
  return cutText(plainText(cutText(text, MAX_STATUS_BYTES)), MAX_STATUS_BYTES);
}

/** Packs an error's details. A detail that cannot be packed is left out: an answer needs only code and text. */
function packDetails({ details }: ConnectError): Any[] {
  const packed = details.flatMap((detail) => {
    if (!("desc" in detail)) {
      return [create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value })];
    }
    try {
      return [anyPack(detail.desc, create(detail.desc, detail.value))];
    } catch {
      return [];
    }
  });
  return within(packed);
}

/** The first details that fit the bound together. */
function within(details: readonly Any[]): Any[] {
  let bytes = 0;
  return details.filter(({ typeUrl, value }) => (bytes += typeUrl.length + value.length) <= MAX_DETAILS_BYTES);
}

/**
 * A ConnectError whose message has no `[code]` before it: such messages become part of a chain, and the code of a cause
 * in the middle of a line says nothing to the reader.
 */
export function rpcError(message: string, code: Code, cause?: unknown): ConnectError {
  const error = new ConnectError(message, code, undefined, undefined, cause);
  error.message = message;
  return error;
}

/** The error of a call that the caller itself gave up. */
export function abortError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return rpcError(errorChain(reason), rpcCode(reason) ?? Code.Canceled, reason);
}

function isCode(code: Code | undefined): code is Code {
  return code !== undefined;
}

function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  let at = error;
  while (at instanceof Error) {
    chain.push(at);
    at = at instanceof SuppressedError ? at.suppressed : at.cause;
  }
  return chain;
}
