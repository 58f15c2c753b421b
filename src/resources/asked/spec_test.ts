import assert from "node:assert/strict";
import fc from "fast-check";
import { specFromProto, specToProto } from "../../agent_api/spec_codec.ts";
import { defaultConfig } from "../../config/schema.ts";
import { type Spec, SPEC_SHAPE } from "../../oci/spec/spec.ts";
import { keysOf, valuesOf } from "../../oci/spec/testing/values.ts";
import { toGuestSpec } from "../guest_spec.ts";
import { fateOf } from "./fate.ts";
import { SPEC_FATES } from "./spec.ts";

const KEYS = keysOf(SPEC_SHAPE).map((key) => key.replace("!", ""));

Deno.test("kind 1: each field of the specification has a row, or lies in one that has", () => {
  const around = KEYS.filter((key) => fateOf(SPEC_FATES, key) === undefined);
  // Objects whose fields have rows of their own: a field that is new to these has none.
  assert.deepEqual(around, ["root", "process", "linux", "linux.resources"]);
  const known = new Set(KEYS);
  assert.deepEqual(Object.keys(SPEC_FATES).filter((key) => !known.has(key)), []);
});

/** Whether something is there, in any element of a list and under any key of a map. */
function has(value: unknown, [name, ...rest]: readonly string[]): boolean {
  if (value === undefined) return false;
  if (Array.isArray(value)) return value.some((each) => has(each, name === undefined ? [] : [name, ...rest]));
  if (name === undefined) return true;
  const below = Object(value) as Record<string, unknown>;
  return name === "*" ? Object.values(below).some((each) => has(each, rest)) : has(below[name], rest);
}

/** A specification that has each field, as the guest gets it. */
function guestSpec(): Spec {
  const narrower = {
    "linux.resources.unified": fc.constant({ "memory.low": "1" }),
    "process.user.umask": fc.constant(0o22),
    "process.oomScoreAdj": fc.constant(5),
    "linux.namespaces": fc.constant([{ type: "ipc" }, { type: "mount" }]),
    "linux.devices": fc.constant([{ path: "/dev/f", type: "p", major: 1, minor: 1, fileMode: 384, uid: 1, gid: 1 }]),
    "linux.resources.devices": fc.constant([{ allow: true, type: "c", major: 1, minor: 3, access: "rwm" }]),
  };
  const [spec] = fc.sample(valuesOf(SPEC_SHAPE, { fields: "all", narrower }), { numRuns: 1, seed: 1 });
  const options = { config: defaultConfig(), type: "single_container", bundle: "/b", rootfs: "/r" } as const;
  return specFromProto(specToProto(toGuestSpec(spec!, { ...options, mounts: spec!.mounts ?? [] })));
}

/** Carried by the host, or told in another form. */
const ELSEWHERE = /^(hooks|linux\.namespaces\.path)(\.|$)/;

Deno.test("kind 1: fields reach the guest, or do not, as their rows say", () => {
  const spec = guestSpec();
  const wrong = KEYS.filter((key) => {
    const fate = fateOf(SPEC_FATES, key);
    if (fate === undefined || ELSEWHERE.test(key)) return false;
    return ("carried" in fate) !== has(spec, key.split("."));
  });
  assert.deepEqual(wrong, []);
});
