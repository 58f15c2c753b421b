import assert from "node:assert/strict";
import { checkKernel } from "./kernel.ts";
import type { Spec } from "./spec.ts";

const PLAIN: Spec = { ociVersion: "1.2.0" };
const CLOCKS: Spec = { ...PLAIN, linux: { namespaces: [{ type: "time" }] } };

Deno.test.each<{ release: string; spec: Spec; why?: RegExp }>([
  {
    release: "5.10.0-28-amd64",
    spec: PLAIN,
    why: /Cannot make a container: Linux 5\.10\.0-28-amd64 is older than 5\.12/,
  },
  { release: "4.19.0", spec: PLAIN, why: /older than 5\.12/ },
  { release: "5.12.0", spec: PLAIN },
  { release: "5.15.0-generic", spec: CLOCKS, why: /Cannot make a time namespace: .* older than 6\.2/ },
  { release: "6.2.1", spec: CLOCKS },
  { release: "10.0", spec: CLOCKS },
])("runk 18: checkKernel() says by name what Linux $release is too old for", ({ release, spec, why }) => {
  if (why === undefined) checkKernel(spec, release);
  else assert.throws(() => checkKernel(spec, release), why);
});
