/**
 * The shim's command line, in the syntax of Go's `flag` package: one or two dashes, `-name value` or `-name=value`, and
 * the first word that is no flag is the action.
 *
 * @module
 */
import { verifyId } from "../base/id.ts";

/** Action of the binary; without one it serves. */
export type ShimAction = "start" | "delete" | "serve" | "info" | "version" | "help";

export interface ShimArgs {
  action: ShimAction;
  /** containerd's namespace, such as `k8s.io`. */
  namespace: string;
  /** Id of the task or sandbox. */
  id: string;
  /** containerd's gRPC socket; empty under CRI-O. */
  address: string;
  /** containerd's own executable; of historical use only, passed on to the serving process. */
  publishBinary: string;
  /** Only with `delete`; the other actions run in the bundle. */
  bundle: string;
  /** Address that the serving process listens on, as `start` computed it. */
  socket: string;
  debug: boolean;
}

const VALUE_FLAGS = ["namespace", "id", "address", "publish-binary", "bundle", "socket", "debug-socket"] as const;
type ValueFlag = typeof VALUE_FLAGS[number];

/** Flags that need no id and do one thing. */
const ACTION_FLAGS: Readonly<Record<string, ShimAction>> = {
  v: "version",
  version: "version",
  info: "info",
  h: "help",
  help: "help",
};

/**
 * Unknown flags are skipped, because a newer containerd may pass some that we need not know.
 *
 * @param args The arguments after the program's name.
 * @throws {RangeError} A missing id or namespace, or an unknown action.
 * @throws {KataError} INVALID_ARGUMENT for an id that cannot be one.
 */
export function parseShimArgs(args: readonly string[]): ShimArgs {
  const values: Partial<Record<ValueFlag, string>> = {};
  let debug = false;
  let action: ShimAction | undefined;
  let word: string | undefined;
  for (let at = 0; at < args.length; at++) {
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(args[at]!);
    if (match === null) {
      word = args[at];
      break;
    }
    const [, name = "", inline] = match;
    if (isValueFlag(name)) values[name] = inline ?? args[++at] ?? "";
    else if (inline === "false") continue;
    else if (name === "debug") debug = true;
    else action ??= ACTION_FLAGS[name];
  }
  return validate({
    action: action ?? parseAction(word),
    namespace: values.namespace ?? "",
    id: values.id ?? "",
    address: values.address ?? "",
    publishBinary: values["publish-binary"] ?? "",
    bundle: values.bundle ?? "",
    socket: values.socket ?? "",
    debug,
  });
}

function isValueFlag(name: string): name is ValueFlag {
  return (VALUE_FLAGS as readonly string[]).includes(name);
}

function parseAction(word: string | undefined): ShimAction {
  if (word === undefined) return "serve";
  if (word === "start" || word === "delete") return word;
  throw new RangeError(`Cannot run action "${word}": known are start and delete`);
}

function validate(args: ShimArgs): ShimArgs {
  if (args.action === "info" || args.action === "version" || args.action === "help") return args;
  if (args.namespace === "") throw new RangeError(`Cannot ${args.action} the shim: -namespace is missing`);
  if (args.id === "") throw new RangeError(`Cannot ${args.action} the shim: -id is missing`);
  verifyId(args.id);
  return args;
}
