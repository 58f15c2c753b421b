/** A bundle's config.json, by the host up to the agent, and by the engine up to its first system call. @module */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createLogger } from "../../../src/base/log.ts";
import { defaultConfig } from "../../../src/config/schema.ts";
import { compileSeccomp } from "../../../src/linux/security/seccomp.ts";
import type { SeccompProfile } from "../../../src/linux/security/seccomp_profile.ts";
import { addGuestHooks } from "../../../src/agent/container/hooks.ts";
import { guestNamespaces } from "../../../src/agent/machine/namespaces.ts";
import { identify } from "../../../src/shim/annotations.ts";
import { cgroupPath } from "../../../src/oci/cgroup/cgroup.ts";
import { deviceRules, planDevices } from "../../../src/oci/mount/devices.ts";
import { planMounts } from "../../../src/oci/mount/plan.ts";
import { namespacesOfParent, ownNamespaces, planNamespaces } from "../../../src/oci/init/namespaces.ts";
import { planProcess } from "../../../src/oci/init/process_plan.ts";
import { processToProto, specFromProto, specToProto } from "../../../src/agent_api/spec_codec.ts";
import { formatSpec, parseProcess, parseSpec } from "../../../src/oci/spec/spec.ts";
import { resourceProperties } from "../../../src/oci/cgroup/systemd/properties.ts";
import { validate, validateProcess } from "../../../src/oci/spec/validate.ts";
import { ProcessSchema, SpecSchema } from "../../../src/proto/oci_pb.ts";
import { checkDevices } from "../../../src/resources/devices/spec_devices.ts";
import { toGuestSpec } from "../../../src/resources/guest_spec.ts";
import { demandOf, sandboxDemand } from "../../../src/resources/sizing.ts";
import { anySpec, FULL_SPEC } from "../core/oci.ts";
import { defineTarget, hold } from "../core/target.ts";
import { type Json, mutateJson } from "../core/values.ts";

const log = createLogger({ sink: () => {} });

export const specHost = defineTarget({
  name: "spec-host",
  rounds: 700,
  make: (random) => anySpec(random),
  run(text) {
    const spec = parseSpec(text);
    const { type, sandboxId } = identify(spec.annotations, "c1");
    hold(typeof sandboxId === "string", "a sandbox has a name");
    demandOf(spec.linux?.resources);
    sandboxDemand(spec);
    checkDevices(spec.linux, { containerId: "c1", log });
    const guest = toGuestSpec(spec, {
      config: defaultConfig(),
      type,
      bundle: "/b",
      rootfs: "/r",
      mounts: spec.mounts ?? [],
    });
    const sent = fromBinary(SpecSchema, toBinary(SpecSchema, specToProto(guest)));
    specFromProto(sent);
  },
});

export const specEngine = defineTarget({
  name: "spec-engine",
  rounds: 600,
  make: (random) => anySpec(random),
  run(text, { inside }) {
    const rootfs = `${inside}/rootfs`;
    Deno.mkdirSync(`${rootfs}/etc`, { recursive: true });
    const spec = parseSpec(text);
    hold(
      formatSpec(parseSpec(formatSpec(spec))) === formatSpec(spec),
      "a stored specification is read as it was written",
    );
    validate(spec);
    const { linux } = spec;
    const namespaces = planNamespaces(linux?.namespaces);
    namespacesOfParent(namespaces);
    ownNamespaces(namespaces);
    guestNamespaces(spec, { shared: undefined, pid: undefined });
    addGuestHooks(spec, inside);
    planDevices(linux?.devices);
    deviceRules(linux?.resources?.devices);
    hold(!cgroupPath(linux?.cgroupsPath, "c1").split("/").includes(".."), "a group is below its root");
    resourceProperties(linux?.resources ?? {}, { version: 2, systemdVersion: 252 });
    const cgroup = { layout: { mode: "v1", root: "/sys/fs/cgroup", unified: undefined, v1: new Map() }, paths: {} };
    const context = { rootfs, bundle: inside, linux, cgroup: cgroup as never };
    for (const { destination } of planMounts(spec.mounts ?? [], context)) {
      hold(destination.startsWith("/") && !destination.split("/").includes(".."), "a mount is inside the root");
    }
    if (spec.process !== undefined) planProcess(spec.process, { linux, rootfs, log });
  },
});

const { process: PROCESS, linux: { seccomp: SECCOMP } } = FULL_SPEC as unknown as {
  process: Json;
  linux: { seccomp: Json };
};

export const execProcess = defineTarget({
  name: "exec-process",
  rounds: 700,
  make: (random) => JSON.stringify(mutateJson(random, PROCESS)),
  run(text) {
    const process = parseProcess(text);
    validateProcess(process);
    const sent = fromBinary(ProcessSchema, toBinary(ProcessSchema, processToProto(process)));
    void sent;
    planProcess(process, { linux: undefined, rootfs: "/nothing", log });
  },
});

export const seccomp = defineTarget({
  name: "seccomp",
  rounds: 800,
  make: (random) => JSON.stringify({ linux: { seccomp: mutateJson(random, SECCOMP) } }),
  run(text) {
    const profile = parseSpec(text).linux?.seccomp;
    if (profile !== undefined) compileSeccomp(profile as SeccompProfile);
  },
});
