/** Programs of a configuration: whatever they print and however they end, one thing is said of one size. @module */
import { exists } from "../../../src/base/files.ts";
import { createLogger } from "../../../src/base/log.ts";
import { runHooks, runPoststopHooks } from "../../../src/oci/hooks/hooks.ts";
import type { Hook } from "../../../src/oci/spec/spec.ts";
import { countDescriptors } from "../core/left.ts";
import type { Random } from "../core/random.ts";
import { defineTarget, hold } from "../core/target.ts";
import { anyText } from "../core/text.ts";

/** Programs that inputs choose from: no program of the machine is run that is not named here. */
const SCRIPTS = [
  "exit 0",
  "exit 1",
  "exit 255",
  "kill -9 $$",
  "cat; exit 3",
  "cat >/dev/null; echo no >&2; exit 1",
  "head -c 3000000 /dev/zero; exit 1",
  "printf '\\377\\376\\000\\n\\033[2J'; exit 1",
  "exec 0<&- 1>&- 2>&-; exit 4",
  "sleep 1 & exit 0",
  "echo more >/proc/self/fd/0; : >/proc/self/fd/1; exit 1",
  "truncate -s 0 /proc/self/fd/0 /proc/self/fd/2; exit 1",
  "yes no | head -c 100000 >&2; kill -ABRT $$",
] as const;
const PROGRAMS = [
  "/bin/true",
  "/bin/false",
  "INSIDE/missing",
  "INSIDE/text",
  "INSIDE/directory",
  "INSIDE/a\0b",
] as const;
const KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const;
/** Words of the error around what a hook prints, and each byte that is no text as a mark of three. */
const LONGEST = 3 * 4096 + 10_000;

function anyHook(random: Random): Hook {
  const args = random.times(random.few(3), () => anyText(random).toWellFormed());
  const env = random.times(random.few(3), () => `A${random.below(9)}=${anyText(random).toWellFormed()}`);
  const timeout = random.once(6) ? { timeout: random.pick([0, -1, 0.05, 1, 1e9]) } : {};
  if (random.once(4)) return { path: random.pick(PROGRAMS), args, env, ...timeout };
  if (random.once(20)) return { path: "/bin/sh", args: ["sh", "-c", "sleep 5"], timeout: 0.05 };
  return {
    path: "/bin/sh",
    args: ["sh", "-c", random.pick(SCRIPTS), "sh", ...args],
    env: ["PATH=/usr/bin:/bin", ...env],
    ...timeout,
  };
}

let first: number | undefined;

export const hooks = defineTarget({
  name: "hooks",
  rounds: 30,
  make: (random) => ({
    kind: random.pick(KINDS),
    hooks: random.times(random.between(1, 3), () => anyHook(random)),
    id: anyText(random),
    annotations: Object.fromEntries(random.times(random.few(3), () => [anyText(random), anyText(random)])),
    isMissing: random.once(10),
  }),
  async run({ kind, hooks, id, annotations, isMissing }, { inside }) {
    if (!exists(`${inside}/text`)) Deno.writeTextFileSync(`${inside}/text`, "no program", { mode: 0o755 });
    Deno.mkdirSync(`${inside}/directory`, { recursive: true });
    const bundle = isMissing ? `${inside}/missing` : inside;
    const state = { ociVersion: "1.2.0", id, status: "created" as const, pid: 1, bundle, annotations };
    const all = { [kind]: hooks.map((hook) => ({ ...hook, path: hook.path.replace("INSIDE", inside) })) };
    first ??= countDescriptors();
    if (kind === "poststop") {
      const lines: string[] = [];
      await runPoststopHooks(all, { state, log: createLogger({ sink: (line) => lines.push(line) }) });
      hold(
        lines.length <= hooks.length && lines.every((line) => line.length < 4 * LONGEST),
        "a warning each, of one size",
      );
    } else {
      try {
        await runHooks(kind, all, { state });
      } catch (error) {
        const text = error instanceof Error ? `${error.message}${error.cause}` : "";
        hold(text.length < LONGEST + id.length, "an error is of one size whatever is printed");
        throw error;
      } finally {
        hold(countDescriptors() <= first + 4, "descriptors are closed");
      }
    }
  },
});
