/** Containers in a pid namespace that another one lives in: their proc is opened in there, with whatever options. @module */
import { parentGroups, watchMachine } from "../core/left.ts";
import { missingForBox } from "../core/box.ts";
import { callRunk } from "../core/runk.ts";
import { defineTarget, hold } from "../core/target.ts";
import { type Json, mutateJson } from "../core/values.ts";
import { BOUND_MS, GOOD_SPEC, holdEmpty, prepareBundle } from "./runk.ts";

const PID_NAMESPACE = "PID_NAMESPACE";
const MOUNTS: Json = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "ro", "hidepid=0"] },
  { destination: "/data", type: "proc", source: "x", options: ["subset=pid", "gid=0"] },
  { destination: "/dev", type: "tmpfs", source: "tmpfs" },
];
const LINUX: Json = {
  namespaces: [{ type: "pid", path: PID_NAMESPACE }, { type: "mount" }, { type: "ipc" }],
  cgroupsPath: "/kata-fuzz/c2",
  maskedPaths: ["/proc/kcore"],
  readonlyPaths: ["/proc/sys"],
};

/** By hand alone: each input takes five commands, half a minute where the machine is emulated. */
export const runkJoined = defineTarget({
  name: "runk-joined",
  rounds: 0,
  isBoxed: true,
  boundMs: BOUND_MS,
  missing: missingForBox,
  make: (random) => ({
    mounts: JSON.stringify(mutateJson(random, MOUNTS, 3)),
    linux: JSON.stringify(random.once(3) ? mutateJson(random, LINUX, 2) : LINUX),
  }),
  async run({ mounts, linux }, { inside }) {
    const root = `${inside}/state`;
    const first = prepareBundle(inside, JSON.stringify(GOOD_SPEC));
    const nothingStays = watchMachine({ parents: parentGroups(linux) });
    const made = await callRunk(["--root", root, "create", "--bundle", first, "c1"]);
    hold(made === undefined, `a good container is made: ${made}`);
    const { pid } = JSON.parse(Deno.readTextFileSync(`${root}/c1/state.json`));
    const text = JSON.stringify({ ...GOOD_SPEC as object, mounts: JSON.parse(mounts), linux: JSON.parse(linux) });
    const bundle = prepareBundle(inside, text.replaceAll(PID_NAMESPACE, `/proc/${pid}/ns/pid`).toWellFormed());
    let said: string | undefined;
    try {
      said = await callRunk(["--root", root, "run", "--detach", "--bundle", bundle, "c2"]);
    } finally {
      for (const id of ["c2", "c1"]) await callRunk(["--root", root, "delete", "--force", id]);
    }
    await nothingStays();
    holdEmpty(root);
    if (said !== undefined) throw new Error(said);
  },
});
