/** A bundle, mounts and streams that an engine hands to the shim: carried out or refused, and nothing stays behind. @module */
import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { exists } from "../../../src/base/files.ts";
import { MountSchema } from "../../../src/proto/containerd_types_pb.ts";
import { openStdio } from "../../../src/shim/io/stdio.ts";
import { NO_OPTIONS, Shim } from "../../system/fake_shim.ts";
import { missingForBox } from "../core/box.ts";
import { findFault } from "../core/faults.ts";
import { parentGroups, watchMachine } from "../core/left.ts";
import { anyRootMounts, placeMounts } from "../core/mounts.ts";
import { anySpec, FULL_SPEC } from "../core/oci.ts";
import { defineTarget } from "../core/target.ts";
import { anyText, textLike } from "../core/text.ts";
import { type Json, mutateJson } from "../core/values.ts";

const { process: PROCESS } = FULL_SPEC as unknown as { process: Json };
const SIGKILL = 9;

export const shimTask = defineTarget({
  name: "shim-task",
  rounds: 4,
  isBoxed: true,
  missing: missingForBox,
  make: (random) => ({
    spec: anySpec(random),
    rootfs: anyRootMounts(random),
    exec: JSON.stringify(mutateJson(random, PROCESS)),
    update: JSON.stringify(mutateJson(random, { cpu: { quota: 1000, cpus: "0" }, memory: { limit: 1 << 27 } })),
    ids: [random.once(10) ? anyText(random) : "c1", random.once(10) ? anyText(random) : "e1"],
  }),
  async run({ spec, rootfs, exec, update, ids: [id = "", execId = ""] }, { inside }) {
    for (const name of ["lower", "upper", "work", "source"]) Deno.mkdirSync(`${inside}/${name}`, { recursive: true });
    const nothingStays = watchMachine({ parents: parentGroups(spec) });
    const errors: unknown[] = [];
    {
      await using shim = new Shim();
      // The guest would have more memory than the machine that this runs in.
      Deno.writeTextFileSync(`${shim.directory}/configuration.toml`, "default_memory = 256\n", { append: true });
      for (const root of Object.values(shim.roots)) Deno.mkdirSync(root, { recursive: true });
      const bundle = shim.bundle("bundle", {});
      Deno.writeTextFileSync(`${bundle}/config.json`, spec.toWellFormed());
      const mounts = placeMounts(rootfs, inside).map((mount) => create(MountSchema, mount));
      const steps = [
        () => shim.tasks.create({ id, bundle, rootfs: mounts, ...NO_OPTIONS }),
        () => shim.tasks.start({ id, execId: "" }),
        () => shim.tasks.exec({ ...NO_OPTIONS, id, execId, spec: jsonOf(exec) }),
        () => shim.tasks.start({ id, execId }),
        () => shim.tasks.update({ id, resources: jsonOf(update) } as Parameters<typeof shim.tasks.update>[0]),
        () => shim.tasks.stats({ id }),
        () => shim.tasks.kill({ id, execId: "", signal: SIGKILL, all: true }),
        () => shim.tasks.wait({ id, execId: "" }),
        () => shim.tasks.delete({ id, execId: "" }),
      ];
      for (const step of steps) {
        errors.push(await attempt(step));
      }
    }
    await nothingStays();
    // Taken is what could be created; what the agent of a test cannot do may be refused after that.
    const fault = errors.find((error) => error !== undefined && findFault(error) !== undefined) ?? errors[0];
    if (fault !== undefined) throw fault;
  },
});

async function attempt(step: () => unknown): Promise<unknown> {
  try {
    await step();
    return undefined;
  } catch (error) {
    return error;
  }
}

function jsonOf(text: string) {
  return create(AnySchema, { typeUrl: "x", value: new TextEncoder().encode(text.toWellFormed()) });
}

const STDIN = ["DIR/fifo", "fifo://DIR/fifo", ""];
const OUTPUT = [...STDIN, "file://DIR/out", "file:///run/out%20x", "binary:///bin/cat?a=b"];

export const stdio = defineTarget({
  name: "stdio",
  rounds: 15,
  isBoxed: true,
  missing: missingForBox,
  make: (random) => {
    const name = (good: readonly string[]) => random.once(2) ? random.pick(good) : textLike(random, good);
    return { stdin: name(STDIN), stdout: name(OUTPUT), stderr: name(OUTPUT) };
  },
  async run(names, { inside }) {
    const fifo = `${inside}/fifo`;
    if (!exists(fifo)) new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
    const placed = { stdin: "", stdout: "", stderr: "" };
    for (const stream of ["stdin", "stdout", "stderr"] as const) placed[stream] = names[stream].replace("DIR", inside);
    // A logger that is a shell, or another long-lived program of this machine, is not what is asked here.
    if (/^binary:/.test(placed.stdout) && !/^binary:\/\/\/bin\/(true|cat)\b/.test(placed.stdout)) return;
    await using streams = await openStdio(placed, { containerId: "c1", namespace: "default" });
    await streams.stdout?.write(Uint8Array.of(1, 2, 3), { signal: AbortSignal.timeout(5_000) });
  },
});
