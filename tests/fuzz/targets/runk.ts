/** The engine by its command line: bundles of any text, ids, and what lies in its state directory. Nothing of it stays. @module */
import { detectCgroups } from "../../../src/linux/cgroup/cgroup.ts";
import { exists } from "../../../src/base/files.ts";
import { mutateBytes } from "../core/bytes.ts";
import { missingForBox } from "../core/box.ts";
import { parentGroups, watchMachine } from "../core/left.ts";
import { anySpec, FULL_SPEC } from "../core/oci.ts";
import { prepareRoot } from "../core/rootfs.ts";
import { callRunk } from "../core/runk.ts";
import { defineTarget, hold, type Scratch } from "../core/target.ts";
import { textLike } from "../core/text.ts";
import { type Json, mutateJson } from "../core/values.ts";

/** A command of the engine takes seconds where the machine is emulated. */
export const BOUND_MS = 120_000;
const ID = "c1";
const SPEC = specOfMachine();
const WAYS = [["create", "start", "state", "exec"], ["run"], ["run", "pause", "ps", "resume"], ["create"]] as const;
const MORE: Readonly<Record<string, readonly string[]>> = { exec: ["/bin/true"] };

export const runk = defineTarget({
  name: "runk",
  rounds: 2,
  isBoxed: true,
  boundMs: BOUND_MS,
  missing: missingForBox,
  make: (random) => ({
    spec: anySpec(random, SPEC, 3),
    id: random.once(12) ? textLike(random, [ID, "..", "a/b"]) : ID,
    way: random.below(WAYS.length),
  }),
  async run({ spec, id, way }, { inside }) {
    const bundle = prepareBundle(inside, spec.toWellFormed());
    const root = `${inside}/state`;
    const nothingStays = watchMachine({ parents: parentGroups(spec) });
    const failed: string[] = [];
    for (const word of WAYS[way]!) {
      const made = word === "run" ? ["run", "--detach"] : [word];
      const of = word === "create" || word === "run" ? ["--bundle", bundle] : [];
      const said = await callRunk(["--root", root, ...made, ...of, "--", id, ...(MORE[word] ?? [])]);
      if (said !== undefined) failed.push(said);
    }
    await callRunk(["--root", root, "delete", "--force", "--", id]);
    await nothingStays();
    holdEmpty(root);
    if (failed.length > 0) throw new Error(failed[0]);
  },
});

const CALLS = [
  ["list"],
  ["state", ID],
  ["start", ID],
  ["ps", ID],
  ["kill", ID, "KILL"],
  ["exec", ID, "/bin/true"],
  ["update", "--pids-limit", "9", ID],
  ["pause", ID],
  ["resume", ID],
  ["events", "--stats", ID],
  ["delete", ID],
  ["delete", "--force", ID],
] as const;
const FILES = ["state.json", "exec.fifo"] as const;
const INSTEAD = ["bytes", "bytes", "json", "json", "json", "nothing", "link", "directory"] as const;

/** As the engine writes it, for a container that never was: what is changed in it is what counts. */
const STATE: Json = {
  id: ID,
  pid: 1,
  startTime: 5,
  bundle: "/bundle",
  rootfs: "/bundle/rootfs",
  created: "2026-01-01T00:00:00.000Z",
  cgroupPath: "/kata-fuzz/c1",
  noNewKeyring: false,
  spec: SPEC,
};

/** Another process, or a file system that broke, has written what the engine keeps. */
export const runkState = defineTarget({
  name: "runk-state",
  rounds: 2,
  isBoxed: true,
  boundMs: BOUND_MS,
  missing: missingForBox,
  make: (random) => ({
    file: random.once(4) ? FILES[1] : FILES[0],
    instead: random.pick(INSTEAD),
    text: JSON.stringify(mutateJson(random, STATE, 4)),
    bytes: mutateBytes(random, encode(JSON.stringify(STATE))),
    isCreated: random.once(2),
    calls: random.times(random.between(1, 3), () => random.below(CALLS.length)),
  }),
  async run({ file, instead, text, bytes, isCreated, calls }, scratch) {
    const { inside } = scratch;
    const root = `${inside}/state`;
    const bundle = prepareBundle(inside, JSON.stringify(GOOD_SPEC));
    const nothingStays = watchMachine();
    if (isCreated) {
      const said = await callRunk(["--root", root, "create", "--bundle", bundle, ID]);
      hold(said === undefined, `a good container is made: ${said}`);
    }
    const directory = `${root}/${ID}`;
    Deno.mkdirSync(directory, { recursive: true });
    const kept = isCreated ? Deno.readTextFileSync(`${directory}/state.json`) : undefined;
    replace(`${directory}/${file}`, {
      content: instead === "json" ? encode(text.toWellFormed()) : bytes,
      instead,
      scratch,
    });
    try {
      for (const call of calls) await callRunk(["--root", root, ...CALLS[call]!]);
    } finally {
      await cleanUp(root, kept);
    }
    await nothingStays();
    holdEmpty(root);
  },
});

export const GOOD_SPEC: Json = {
  ociVersion: "1.2.0",
  root: { path: "rootfs" },
  process: { args: ["/bin/sleep", "1000"], cwd: "/", user: { uid: 0, gid: 0 } },
  // Where the run has its files, no device can be opened.
  mounts: ["proc", "tmpfs"].map((type) => ({ destination: type === "proc" ? "/proc" : "/dev", type, source: type })),
  linux: { namespaces: [{ type: "pid" }, { type: "mount" }], cgroupsPath: "/kata-fuzz/c1" },
};

interface Replacement {
  instead: typeof INSTEAD[number];
  content: Uint8Array;
  scratch: Scratch;
}

function replace(path: string, { instead, content, scratch: { outside } }: Replacement): void {
  if (exists(path)) Deno.removeSync(path);
  if (instead === "link") Deno.symlinkSync(`${outside}/file`, path);
  else if (instead === "directory") Deno.mkdirSync(path);
  else if (instead !== "nothing") Deno.writeFileSync(path, content);
}

/** The container goes by what the engine had written; a directory that never was one goes as whoever broke it would do it. */
async function cleanUp(root: string, kept: string | undefined): Promise<void> {
  const directory = `${root}/${ID}`;
  const state = `${directory}/state.json`;
  if (kept !== undefined) {
    Deno.mkdirSync(directory, { recursive: true });
    if (exists(state)) Deno.removeSync(state, { recursive: true });
    Deno.writeTextFileSync(state, kept);
    await callRunk(["--root", root, "delete", "--force", ID]);
  }
  if (exists(directory)) Deno.removeSync(directory, { recursive: true });
}

/** The full one, without disks that the machine does not have. */
function specOfMachine(): Json {
  const { linux, ...spec } = structuredClone(FULL_SPEC) as { linux: { resources: Record<string, Json> } };
  for (const name of ["blockIO", "hugepageLimits", ...notOfMachine()]) delete linux.resources[name];
  return { ...spec, hooks: {}, linux };
}

/** Resources of the other version of groups, or of controllers that kernels seldom have. */
function notOfMachine(): string[] {
  const { mode } = detectCgroups();
  return mode === "v2" ? [] : ["unified", "network"];
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function prepareBundle(inside: string, spec: string): string {
  prepareRoot(`${inside}/bundle/rootfs`);
  Deno.writeTextFileSync(`${inside}/bundle/config.json`, spec);
  return `${inside}/bundle`;
}

export function holdEmpty(root: string): void {
  const left = exists(root) ? [...Deno.readDirSync(root)].map(({ name }) => name) : [];
  hold(left.length === 0, `no state stays behind: ${left.join(", ")}`);
}
