/** The rule for ids of containers, execs and sandboxes. @module */
import { KataError } from "./error.ts";
import { quoted } from "./text.ts";

/**
 * Ids become file names, so they never hold a slash, never start with a dot, and are bounded.
 *
 * @returns The id itself.
 * @throws {KataError} INVALID_ARGUMENT, quoting the id.
 */
export function verifyId(id: string, kind: "container" | "exec" | "sandbox" = "container"): string {
  if (id.length <= 256 && /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)) return id;
  const rule = "letters, digits, '_', '.' and '-', starting with a letter or digit, at most 256 of them";
  throw new KataError("INVALID_ARGUMENT", `Cannot use ${kind} id ${quoted(id)}: an id is ${rule}`);
}

/**
 * The rule for ids of containers that people and engines name on a command line, as runc's: wider, as such ids were taken
 * elsewhere.
 *
 * @returns The id itself.
 * @throws {KataError} INVALID_ARGUMENT, quoting the id.
 */
export function verifyEngineId(id: string): string {
  if (id.length <= 255 && /^[\w+.-]+$/.test(id) && id !== "." && id !== "..") return id;
  const rule = "letters, digits, '_', '+', '.' and '-', at most 255 of them, and neither '.' nor '..'";
  throw new KataError("INVALID_ARGUMENT", `Cannot use container id ${quoted(id)}: an id is ${rule}`);
}
