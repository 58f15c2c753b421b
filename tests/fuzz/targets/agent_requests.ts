/** A host, or whoever speaks in its name, that asks the agent anything: storages, copies, containers, network. @module */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { agentServices } from "../../../src/agent/services/mod.ts";
import { Sandbox } from "../../../src/agent/sandbox.ts";
import { DeviceWaiter } from "../../../src/agent/devices/waiter.ts";
import type { Guest } from "../../../src/agent/guest.ts";
import { ALLOW_ALL } from "../../../src/agent/policy/policy.ts";
import { createLogger } from "../../../src/base/log.ts";
import { specToProto } from "../../../src/agent_api/spec_codec.ts";
import { parseSpec } from "../../../src/oci/spec/spec.ts";
import { AgentService } from "../../../src/proto/agent_pb.ts";
import { SpecSchema } from "../../../src/proto/oci_pb.ts";
import { GUEST_PATH, STORAGE_DRIVER } from "../../../src/agent_api/names.ts";
import { defaultAgentOptions } from "../../../src/agent_api/options.ts";
import { createTtrpcTransport } from "../../../src/rpc/ttrpc/client.ts";
import { serveConnection } from "../../../src/rpc/ttrpc/server.ts";
import { missingForBox } from "../core/box.ts";
import { findFault } from "../core/faults.ts";
import { anyMessage, type Words } from "../core/message.ts";
import { watchMachine } from "../core/left.ts";
import { anySpec, FULL_SPEC } from "../core/oci.ts";
import type { Random } from "../core/random.ts";
import { memoryPair } from "../core/streams.ts";
import { prepareRoot } from "../core/rootfs.ts";
import { defineTarget } from "../core/target.ts";
import type { Json } from "../core/values.ts";

/** It would plug memory into the machine that the machine does not have. */
const LEFT_OUT = new Set(["memHotplugByProbe"]);
const METHODS = Object.values(AgentService.method).filter(({ localName }) => !LEFT_OUT.has(localName));

const { passthrough, containers, ephemeral } = GUEST_PATH;
const PATHS = [
  `${passthrough}/c1/rootfs`,
  `${containers}/c1/x`,
  `${ephemeral}/cache`,
  `${ephemeral}/cache/a`,
  "/run/kata-containers/sandbox/shm",
  "/run/x",
  "OUTSIDE/deep",
  "/etc",
];
const WORDS: Words = {
  container_id: ["c1", "c2"],
  sandbox_id: ["s1"],
  exec_id: ["", "e1"],
  driver: Object.values(STORAGE_DRIVER),
  fstype: ["tmpfs", "bind", "overlay", "virtiofs", "ext4"],
  source: ["tmpfs", "shm", "local", ...PATHS],
  mount_point: PATHS,
  path: PATHS,
  options: ["ro", "rw", "size=64k", "mode=1777", "nosuid", "rbind", `lowerdir=/run:/tmp`, "fsgid=10"],
  driver_options: ["volume-part=a", "x=y"],
  name: ["lo", "eth0"],
  device: ["lo", "eth0"],
  dest: ["10.0.0.0/8", "fd00::/64", ""],
  gateway: ["10.0.0.1"],
  address: ["10.0.0.2", "fd00::2"],
  mask: ["24", "64"],
  hwAddr: ["02:00:00:00:00:01"],
  volume_guest_path: PATHS,
};

interface Request {
  method: string;
  message: Uint8Array;
}

/** How long a call that waits for something may keep us, in milliseconds. */
const WAITING_MS = 100;
const WAITING = new Set(["waitProcess", "readStdout", "readStderr", "getOOMEvent", "writeStdin", "updateInterface"]);
const log = createLogger({ sink: () => {} });

export const agentRequests = defineTarget({
  name: "agent-requests",
  rounds: 4,
  isBoxed: true,
  boundMs: 120_000,
  missing: missingForBox,
  make: (random): Request[] => [
    ...(random.once(4) ? [] : [request(random, "createSandbox")]),
    ...random.times(random.between(1, 8), () => request(random, random.pick(PICKED))),
  ],
  async run(requests, { inside, outside }) {
    prepareRoot(`${inside}/rootfs`);
    const nothingStays = watchMachine();
    const errors: unknown[] = [];
    {
      await using guest = new FuzzedGuest();
      const agent = guest.client();
      for (const { method, message } of requests) {
        const options = WAITING.has(method) ? { timeoutMs: WAITING_MS } : {};
        try {
          await Reflect.get(agent, method)(placed(method, message, { inside, outside }), options);
        } catch (error) {
          errors.push(error);
        }
      }
    }
    await nothingStays();
    const fault = errors.find((error) => findFault(error) !== undefined);
    if (fault !== undefined || errors.length === requests.length) throw fault ?? errors[0];
  },
});

/** Containers and storages more often than the rest. */
const PICKED = [
  ...METHODS.map(({ localName }) => localName),
  ...Array.from({ length: 12 }, () => ["createContainer", "startContainer", "updateEphemeralMounts", "copyFile"])
    .flat(),
];

function request(random: Random, method: string): Request {
  const { input } = AgentService.method[method as keyof typeof AgentService.method];
  const message = anyMessage(random, input, { words: WORDS, most: 3, depth: 4 }) as unknown as Record<string, unknown>;
  if (method === "createContainer") {
    message.containerId = random.pick(["c1", "c2"]);
    if (!random.once(6)) message.OCI = specOf(anySpec(random, GUEST_SPEC, 2)) ?? message.OCI;
    for (const key of ["devices", "sharedMounts"]) if (!random.once(8)) message[key] = [];
    for (const key of ["stdinPort", "stdoutPort", "stderrPort"]) message[key] = 0;
    if (random.once(2)) message.storages = [];
  }
  return { method, message: toBinary(input, create(input, message)) };
}

const GUEST_SPEC: Json = {
  ...(FULL_SPEC as Record<string, Json>),
  root: { path: "ROOTFS", readonly: false },
  hooks: {},
};

function specOf(text: string): unknown {
  try {
    return create(SpecSchema, specToProto(parseSpec(text)));
  } catch {
    return undefined;
  }
}

/** The message with the paths of this run: they are of one length with what stands for them in no case, so it is decoded. */
function placed(method: string, bytes: Uint8Array, { inside, outside }: { inside: string; outside: string }): object {
  const { input } = AgentService.method[method as keyof typeof AgentService.method];
  const place = (value: unknown): unknown => {
    if (typeof value === "string") return value.replaceAll("ROOTFS", `${inside}/rootfs`).replaceAll("OUTSIDE", outside);
    if (Array.isArray(value)) return value.map(place);
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    for (const [key, held] of Object.entries(value)) Reflect.set(value, key, place(held));
    return value;
  };
  return place(fromBinary(input, bytes)) as object;
}

/** The agent's own services on a connection in memory. */
class FuzzedGuest implements AsyncDisposable {
  readonly #end = new AbortController();
  readonly #sandbox = new Sandbox();
  readonly #transport;
  readonly #serving;

  constructor() {
    const guest: Guest = {
      options: defaultAgentOptions(),
      log,
      isInit: false,
      sandbox: this.#sandbox,
      // There are no devices here, and this machine's own are nobody's to use.
      devices: new DeviceWaiter({ sys: "/none", dev: "/none", timeoutMs: 10, loadModule: () => Promise.resolve() }),
      modules: { serve: () => Promise.resolve() },
      policy: ALLOW_ALL,
      signal: this.#end.signal,
      shutDown: () => {},
    };
    const [host, end] = memoryPair();
    this.#serving = serveConnection(end, agentServices(guest), { signal: this.#end.signal, log, drainMs: 0 });
    this.#transport = createTtrpcTransport(host, { peer: "the agent" });
  }

  client() {
    return createClient(AgentService, this.#transport);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    this.#transport[Symbol.dispose]();
    await this.#serving;
    await this.#sandbox[Symbol.asyncDispose]();
  }
}
