/**
 * The parts that a configuration is drawn from, each with the values it may have. They are independent, so that a case
 * that differs can be made smaller part by part.
 *
 * @module
 */
import fc from "fast-check";
import type { Spec } from "../runtime.ts";
import { FILES } from "./file_parts.ts";
import { ISOLATION } from "./isolation_parts.ts";
import { LIMITS } from "./limit_parts.ts";
import { type Part, part, someOf } from "./plan.ts";
import { PROCESS } from "./process_parts.ts";

const bool = fc.boolean();
const of = fc.constantFrom;

const HOOKS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const;

/** Traces that a hook leaves behind: its name, what it was given, and where it ran. */
const HOOK_SCRIPT = `{
  echo "hook $0 $*"; env | grep -vE '^(PWD|SHLVL|OLDPWD|_)=' | sort; cat; echo; echo $0 in $PWD; umask
  grep -E '^(Uid|Groups|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
  for n in ipc mnt net uts user cgroup; do echo $n $(readlink /proc/self/ns/$n); done
} >> OUT/hooks 2>&1`;

const SURROUNDINGS = {
  hooks: part(
    fc.record({
      kinds: someOf(...HOOKS).filter((kinds) => !(kinds.includes("startContainer") && kinds.includes("poststart"))),
      env: of(["PATH=/bin", "X=y"], []),
      twice: bool,
    }),
    (plan, { kinds, env, twice }) => {
      plan.spec.hooks = Object.fromEntries(kinds.map((kind) => {
        const out = kind === "startContainer" ? "/out" : plan.out;
        const args = ["sh", "-c", `PATH=/bin:/usr/bin; ${HOOK_SCRIPT.replace("OUT", out)}`, kind];
        const hook = { path: "/bin/sh", args, env };
        return [kind, twice ? [hook, { ...hook, timeout: 50, args: [...args, "again"] }] : [hook]];
      }));
      // Whoever the container's user is, its hooks may append.
      Deno.chmodSync(plan.file("out/hooks", ""), 0o666);
      plan.spec.mounts.push({ destination: "/out", type: "bind", source: plan.out, options: ["bind"] });
    },
  ),
  annotations: part(
    fc.dictionary(of("a", "org.example.key", "ü"), of("", "value", '"quoted"\n'), { minKeys: 1 }),
    ({ spec }, annotations) => spec.annotations = annotations,
  ),
  ociVersion: part(of("1.0.0", "1.0.2-dev", "1.2.0"), ({ spec }, version) => spec.ociVersion = version),
  "in the foreground": part(fc.constant(null), (plan) => plan.isForeground = !plan.hasConsole),
  "--no-pivot": part(fc.constant(null), ({ flags }) => flags.push("--no-pivot")),
  "--no-new-keyring": part(fc.constant(null), ({ flags }) => flags.push("--no-new-keyring")),
  "--preserve-fds": part(of(1, 2), (plan, count) => {
    plan.flags.push("--preserve-fds", String(count));
    plan.fds.push(plan.file("third"), plan.file("fourth"));
  }),
  "open descriptors": part(fc.constant(null), (plan) => {
    plan.fds.push(plan.file("third"), plan.file("fourth"));
  }),
  "null for what is absent": part(
    someOf(
      "env",
      "capabilities",
      "rlimits",
      "additionalGids",
      "hooks",
      "annotations",
      "devices",
      "memory",
      "sysctl",
      "seccomp",
      "maskedPaths",
      "options",
    ),
    ({ spec }, keys) => nullify(spec, new Set(keys)),
  ),
  "unknown keys": part(fc.constant(null), ({ spec }) => {
    Object.assign(spec, { more: 1, solaris: {} });
    Object.assign(spec.linux, { more: { a: [] } });
  }),
} satisfies Record<string, Part>;

/** As Go's encoders write what is empty. */
function nullify(spec: Spec, keys: ReadonlySet<string>): void {
  const places: Record<string, Spec> = {
    env: spec.process,
    capabilities: spec.process,
    rlimits: spec.process,
    additionalGids: spec.process.user,
    hooks: spec,
    annotations: spec,
    devices: spec.linux,
    memory: spec.linux.resources ?? {},
    sysctl: spec.linux,
    seccomp: spec.linux,
    maskedPaths: spec.linux,
    options: spec.mounts[0],
  };
  for (const [key, place] of Object.entries(places)) if (keys.has(key)) place[key] = null;
}

export const PARTS: Record<string, Part> = { ...PROCESS, ...FILES, ...LIMITS, ...ISOLATION, ...SURROUNDINGS };
