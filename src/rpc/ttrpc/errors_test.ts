import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorChain, KataError } from "../../base/error.ts";
import { CheckRequestSchema } from "../../proto/health_pb.ts";
import { abortError, callError, errorToStatus, rpcCode, rpcError, statusToError } from "./errors.ts";

/** Shaped as the errors of src/linux. */
class ErrnoLike extends Error {
  constructor(readonly code: string) {
    super(`open /x: ${code}`);
  }
}

function wrap(cause: unknown): Error {
  return new Error("Cannot start", { cause });
}

Deno.test.each<{ name: string; error: unknown; code: Code | undefined }>([
  { name: "a plain error", error: new Error("x"), code: undefined },
  { name: "no error at all", error: "x", code: undefined },
  { name: "a KataError", error: new KataError("NOT_FOUND", "x"), code: Code.NotFound },
  { name: "a KataError in the chain", error: wrap(new KataError("ABORTED", "x")), code: Code.Aborted },
  {
    name: "a KataError about an errno",
    error: new KataError("FAILED_PRECONDITION", "x", { cause: new ErrnoLike("ENOENT") }),
    code: Code.FailedPrecondition,
  },
  { name: "an answer of another server", error: wrap(rpcError("x", Code.NotFound)), code: Code.NotFound },
  { name: "an errno", error: wrap(new ErrnoLike("ENOSPC")), code: Code.ResourceExhausted },
  { name: "an errno without a meaning", error: wrap(new ErrnoLike("EXDEV")), code: undefined },
  { name: "an abort", error: new DOMException("x", "AbortError"), code: Code.Canceled },
  { name: "a timeout", error: new DOMException("x", "TimeoutError"), code: Code.DeadlineExceeded },
  {
    name: "a failure whose clean-up failed too",
    error: new SuppressedError(new Error("y"), new KataError("ABORTED", "x")),
    code: Code.Aborted,
  },
])("rpcCode() of $name", ({ error, code }) => assert.equal(rpcCode(error), code));

Deno.test("errorToStatus() says the whole chain, without the code of an answer within it", () => {
  const error = new Error("Cannot start container", { cause: rpcError("Cannot find /bin/sh", Code.NotFound) });
  const { code, message } = errorToStatus(error, Code.Unknown);
  assert.deepEqual({ code, message }, { code: Code.NotFound, message: "Cannot start container: Cannot find /bin/sh" });
});

Deno.test("callError() has a code for each of the wire's, the same on the way back wherever a KataError has it", () => {
  const codes = Object.values(Code).filter((code) => typeof code === "number");
  const back = codes.map((code) => rpcCode(callError(rpcError("x", code), "Check")));
  const changed = codes.filter((code, index) => code !== back[index]);
  assert.deepEqual(changed, [Code.Unknown, Code.OutOfRange, Code.DataLoss, Code.Unauthenticated]);
  assert.ok(back.every((code) => code !== undefined));
});

Deno.test("callError() keeps text and causes, and says of what cannot be encoded which call it was for", () => {
  const gone = rpcError("the connection is closed", Code.Unavailable, new ErrnoLike("EPIPE"));
  assert.equal(errorChain(callError(gone, "Check")), "the connection is closed: open /x: EPIPE");
  assert.equal(
    errorChain(callError(new Error("invalid uint32"), "Check")),
    "Cannot encode the request of Check: invalid uint32",
  );
  const own = new KataError("ABORTED", "x");
  assert.equal(callError(own, "Check"), own);
});

Deno.test("errorToStatus() uses the fallback for errors without a code", () => {
  assert.equal(errorToStatus(new Error("x"), Code.Unknown).code, Code.Unknown);
});

Deno.test("statusToError() gives back what errorToStatus() took, details included", () => {
  const error = new ConnectError("gone", Code.NotFound, undefined, [{
    desc: CheckRequestSchema,
    value: { service: "s" },
  }]);
  const received = statusToError(errorToStatus(error, Code.Internal));
  assert.equal(received.code, Code.NotFound);
  assert.equal(received.message, "gone");
  assert.equal(received.findDetails(CheckRequestSchema)[0]?.service, "s");
  assert.equal(errorToStatus(received, Code.Internal).details[0]?.typeUrl, "type.googleapis.com/grpc.CheckRequest");
});

Deno.test("F9: statusToError() keeps no more than 4 KiB of what a peer says", () => {
  const details = [{ typeUrl: "x/y", value: new Uint8Array(4 << 20) }].map((detail) => create(AnySchema, detail));
  const error = statusToError({ ...errorToStatus("", Code.Internal), message: "€".repeat(1 << 20), details });
  assert.ok(new TextEncoder().encode(error.message).length <= 4096);
  assert.match(error.message, /^€{1000,}… \(cut, 1048576 characters in all\)$/);
  assert.deepEqual(error.details, []);
});

Deno.test("statusToError() takes what a terminal obeys out of a peer's text", () => {
  assert.equal(statusToError(errorToStatus(new Error("a\x1b[2J\nb"), Code.Internal)).message, "a\ufffd[2J\nb");
});

Deno.test("statusToError() takes a code that nobody knows", () => {
  assert.equal(statusToError({ ...errorToStatus(new Error("x"), Code.Internal), code: 99 }).code, Code.Unknown);
});

Deno.test("abortError() keeps the reason", () => {
  const reason = new Error("enough");
  const error = abortError(reason);
  assert.equal(error.code, Code.Canceled);
  assert.equal(error.message, "enough");
  assert.equal(error.cause, reason);
});

Deno.test("errorToStatus() says nothing that a terminal obeys", () => {
  const { message } = errorToStatus(new Error('Cannot mount "\x1b]0;owned\x07"'), Code.Unknown);
  assert.equal(message, 'Cannot mount "\ufffd]0;owned\ufffd"');
});
