/** Tells a refusal, which is how good code answers bad input, from the mark of a programming fault. @module */
import { Broken } from "./target.ts";

/** How V8 words what only a fault of ours brings about. */
const ENGINE: readonly RegExp[] = [
  /^Cannot (read|set) propert/,
  /^Cannot (destructure|mix BigInt|convert (undefined|null|a BigInt|object|a Symbol)|use 'in' operator|delete property)/,
  /^Cannot (assign to read only|add property|redefine property|access ')/,
  / is not (a function|iterable|a constructor|defined|an object|extensible)\b/,
  /is not iterable/,
  /^Invalid (array length|string length|array buffer length|typed array length|DataView length|time value|code point|count value)/,
  /^Array buffer allocation failed/,
  /^Maximum (call stack|BigInt) size exceeded/,
  /maximum size exceeded/,
  /^(Offset is outside|Start offset|offset is out of bounds|Source is too large)/i,
  /^The number .* cannot be converted to a BigInt/,
  /^Cannot convert .* to a BigInt/,
  /^Reduce of empty array/,
  /^(Right|Left)-hand side of/,
  /^Spread syntax requires/,
  /^Iterator result/,
  /^Already borrowed|^assertion failed|^AssertionError/i,
];

/** How V8 words a text that is wrong: good as the cause of an error that says which text, and no answer alone. */
const BARE: readonly RegExp[] = [
  /^(Unexpected|Expected|Unterminated|Bad control|No number) .*JSON|is not valid JSON/,
  /^Invalid regular expression/,
  /^Invalid URL/,
];

/** Words that a target's code may use on purpose although V8 has the same. */
const MEANT = [/^Cannot convert .* of /];

/** The first error in the chain of causes that no good code throws. */
export function findFault(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return new Error(`a value that is no error was thrown: ${String(error)}`);
  return BARE.some((words) => words.test(error.message)) ? error : findEngineFault(error);
}

function findEngineFault(error: unknown, depth = 0): Error | undefined {
  if (!(error instanceof Error) || depth > 32) return undefined;
  if (error instanceof Broken || error.name === "AssertionError") return error;
  if (error instanceof SuppressedError) {
    return findEngineFault(error.suppressed, depth + 1) ?? findEngineFault(error.error, depth + 1);
  }
  if (error instanceof AggregateError) {
    return error.errors.map((one) => findEngineFault(one, depth + 1)).find((fault) => fault !== undefined);
  }
  const { message } = error;
  if (ENGINE.some((words) => words.test(message)) && !MEANT.some((words) => words.test(message))) return error;
  return findEngineFault(error.cause, depth + 1);
}

/** Mark by which two findings are the same: the message without what comes from the input. */
export function signature(error: Error): string {
  // V8 quotes the text that it could not parse, in ways of its own.
  const words = error instanceof SyntaxError
    ? ""
    : error.message.replace(/"(?:[^"\\]|\\.)*"|'[^']*'|-?\d+(\.\d+)?/g, "…");
  const place = /(src\/[\w/.]+):\d+/.exec(error.stack ?? "")?.[1] ?? "";
  return `${error.name}: ${words.split(" ").slice(0, 6).join(" ")} ${place}`;
}
