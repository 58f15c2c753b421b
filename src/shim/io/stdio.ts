/** A task's standard streams by what containerd names: a path of a fifo, or a URI. @module */
import { KataError } from "../../base/error.ts";
import type { OutputStream, Stdio, StdioNames } from "../../sandbox/container/stdio.ts";
import type { LoggerContext, Outputs } from "./binary.ts";
import { FifoInput, FifoOutput } from "./fifo.ts";
import { FileOutput } from "./file.ts";

/**
 * Opens what is named, without waiting for anybody.
 *
 * @throws {KataError} INVALID_ARGUMENT: unknown scheme.
 * @throws {Error} Naming the stream that cannot be opened.
 */
export async function openStdio(names: StdioNames, context: LoggerContext): Promise<Stdio> {
  await using undo = new AsyncDisposableStack();
  const stdin = names.stdin === "" ? undefined : undo.use(opening("stdin", names.stdin, openFifoInput));
  const outputs = names.stdout.startsWith("binary://")
    ? undo.use(await startLoggerLazily(names.stdout, context))
    : undo.use(openOutputs(names));
  undo.move();
  return {
    names,
    ...(stdin && { stdin }),
    ...(outputs.stdout && { stdout: outputs.stdout }),
    ...(outputs.stderr && { stderr: outputs.stderr }),
    async [Symbol.asyncDispose]() {
      stdin?.[Symbol.dispose]();
      await outputs[Symbol.asyncDispose]();
    },
  };
}

function openOutputs(names: StdioNames): Outputs {
  using undo = new DisposableStack();
  const stdout = names.stdout === "" ? undefined : undo.use(opening("stdout", names.stdout, openOutput));
  const stderr = names.stderr === "" ? undefined : undo.use(opening("stderr", names.stderr, openOutput));
  const resources = undo.move();
  return {
    ...(stdout && { stdout }),
    ...(stderr && { stderr }),
    // deno-lint-ignore require-await
    async [Symbol.asyncDispose]() {
      resources.dispose();
    },
  };
}

/** Few containers have a logging program, so few shims load the code for it. */
async function startLoggerLazily(name: string, context: LoggerContext): Promise<Outputs> {
  const { startLogger } = await import("./binary.ts");
  try {
    return await startLogger(new URL(name), context);
  } catch (cause) {
    throw new Error(`Cannot start logger "${name}"`, { cause });
  }
}

function opening<T>(stream: string, name: string, open: (name: string) => T): T {
  try {
    return open(name);
  } catch (cause) {
    throw new Error(`Cannot open ${stream} "${name}"`, { cause });
  }
}

function openFifoInput(name: string): FifoInput {
  return new FifoInput(pathOf(name, "fifo"));
}

function openOutput(name: string): OutputStream {
  return name.startsWith("file://") ? new FileOutput(pathOf(name, "file")) : new FifoOutput(pathOf(name, "fifo"));
}

/** A name without a scheme is a path. */
function pathOf(name: string, scheme: string): string {
  if (name.startsWith("/")) return name;
  const url = URL.parse(name);
  if (url?.protocol === `${scheme}:`) return decodeURIComponent(url.pathname);
  throw new KataError("INVALID_ARGUMENT", `Cannot use "${name}": neither a path nor a fifo, file or binary URI`);
}
