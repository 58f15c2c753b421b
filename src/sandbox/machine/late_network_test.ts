import assert from "node:assert/strict";
import { KataError } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import type { NetDevice } from "../../hypervisor/device.ts";
import type { Hotplug } from "../../hypervisor/hypervisor.ts";
import { type JoinedLinks, NOTHING_JOINED } from "../../resources/network/network.ts";
import { LateNetwork } from "./late_network.ts";

const MAC = "02:00:00:00:00:01";

/** A pod's network, a monitor and an agent, who note what is asked of them. */
class Bench {
  readonly calls: string[] = [];
  readonly lines: string[] = [];
  readonly end = new AbortController();
  /** Where interfaces were said to be (wire W4). */
  readonly places: string[] = [];
  readonly scans: JoinedLinks[] = [];
  news = Promise.withResolvers<void>();
  /** Calls that fail, by their words. */
  failing = new Map<string, KataError>();

  readonly late = new LateNetwork({
    signal: this.end.signal,
    afterwards: () => Promise.resolve(this.#note("afterwards")),
    log: createLogger({ sink: (line) => void this.lines.push(line) }),
    network: {
      changed: async () => {
        await this.news.promise;
        this.news = Promise.withResolvers();
      },
      join: () => this.scans.shift() ?? NOTHING_JOINED,
      follow: () => this.scans.shift() ?? NOTHING_JOINED,
      release: (id) => this.#noteOrFail(`release ${id}`),
      tellAgain: () => this.#note("tellAgain"),
    },
    vm: {
      name: "fake",
      guestAddress: () => ({ bus: "pci", path: "02/00" }),
      hotplug: {
        plug: ({ id }) => this.#act(`plug ${id}`, { bus: "pci", path: "02/00" } as const),
        unplug: (id) => this.#act(`unplug ${id}`, undefined),
      } satisfies Hotplug,
    },
    agent: {
      network: {
        setInterface: ({ name, devicePath = "nowhere" }) => {
          this.places.push(devicePath);
          return this.#act(`interface ${name}`, undefined);
        },
        setRoutes: (routes) => this.#act(`routes ${routes.length}`, undefined),
        addNeighbors: () => this.#act("neighbors", undefined),
        remove: ({ cards, routes }) => this.#act(`remove ${[...cards, routes.length].join()}`, undefined),
      },
    },
  });

  #note(call: string): void {
    this.calls.push(call);
  }

  #noteOrFail(call: string): void {
    this.#note(call);
    const failure = this.failing.get(call);
    if (failure !== undefined) throw failure;
  }

  async #act<T>(call: string, result: T): Promise<T> {
    this.#noteOrFail(call);
    return await Promise.resolve(result);
  }
}

function scan(part: Partial<JoinedLinks>): JoinedLinks {
  return { ...NOTHING_JOINED, ...part };
}

function card(id: string): NetDevice {
  return { kind: "net", id, mac: MAC, tapFds: [], vhostFds: [] };
}

const ETH1 = { name: "eth1", addresses: [], mtu: 1500, mac: MAC, kind: "veth", rawFlags: 0 };

Deno.test("pods A11: LateNetwork.join() takes cards out, puts others in, sets what is new and then removes what is old", async () => {
  const bench = new Bench();
  const route = { device: "eth1", family: "inet", destination: "10.0.0.0/8", gateway: undefined } as const;
  const whole = { ...route, source: undefined, mtu: undefined, priority: undefined, scope: 0, flags: 0 };
  bench.scans.push(scan({
    gone: [{ id: "net0", mac: MAC }],
    cards: [card("net1")],
    guest: { interfaces: [ETH1], routes: [whole], neighbors: [], rules: [] },
    leftovers: { cards: [], interfaces: [], routes: [whole, whole], rules: [] },
  }));
  await bench.late.join();
  assert.deepEqual(bench.calls, [
    "unplug net0",
    "release net0",
    "plug net1",
    "interface eth1",
    "routes 1",
    "remove 2",
    "afterwards",
  ]);
  assert.deepEqual(bench.places, ["02/00"], "wire W4: the guest is told where the card is");
});

Deno.test("pods A11: LateNetwork has the guest let go of a card that the monitor cannot take out", async () => {
  const bench = new Bench();
  bench.failing.set("unplug net0", new KataError("NOT_FOUND", "it was not plugged"));
  bench.scans.push(scan({ gone: [{ id: "net0", mac: MAC }] }));
  await bench.late.join();
  assert.deepEqual(bench.calls, ["unplug net0", `remove ${MAC},0`, "release net0", "afterwards"]);
  assert.deepEqual(bench.lines, []);
});

Deno.test("atk3 2: LateNetwork.join() loses no card, old or new, if the guest does not let go of another", async () => {
  const bench = new Bench();
  for (const id of ["net0", "net1"]) {
    bench.failing.set(`unplug ${id}`, new KataError("NOT_FOUND", "it was not plugged"));
  }
  bench.failing.set(`remove ${MAC},0`, new KataError("UNIMPLEMENTED", "an agent of Kata's own"));
  const gone = [{ id: "net0", mac: MAC }, { id: "net1", mac: MAC }];
  bench.scans.push(scan({ gone, cards: [card("net2")] }));
  await bench.late.join();
  const out = (id: string) => [`unplug ${id}`, `remove ${MAC},0`, `release ${id}`];
  assert.deepEqual(bench.calls, [...out("net0"), ...out("net1"), "plug net2", "afterwards"]);
  assert.equal(bench.lines.filter((line) => /UNIMPLEMENTED|an agent of Kata's own/.test(line)).length, 2);
});

Deno.test("atk3 2: LateNetwork.join() goes on if a card that has gone cannot be released, and gives up the rest", async () => {
  const bench = new Bench();
  bench.failing.set("release net0", new KataError("INTERNAL", "netlink"));
  bench.failing.set("release net3", new KataError("INTERNAL", "netlink"));
  bench.failing.set("plug net2", new KataError("RESOURCE_EXHAUSTED", "all 8 root ports are in use"));
  bench.scans.push(scan({ gone: [{ id: "net0", mac: MAC }], cards: [card("net2"), card("net3"), card("net4")] }));
  await assert.rejects(bench.late.join());
  assert.deepEqual(bench.calls.slice(0, 3), ["unplug net0", "release net0", "plug net2"]);
  assert.deepEqual(bench.calls.slice(3).sort(), ["release net2", "release net3", "release net4", "tellAgain"]);
});

Deno.test("atk3 3: LateNetwork looks after nothing else where nothing has changed", async () => {
  const bench = new Bench();
  await bench.late.join();
  assert.deepEqual(bench.calls, []);
});

Deno.test("pods A11: LateNetwork.join() gives up the cards that it could not put in, and has all told again", async () => {
  const bench = new Bench();
  bench.failing.set("plug net2", new KataError("RESOURCE_EXHAUSTED", "all 8 root ports are in use"));
  bench.scans.push(scan({ cards: [card("net1"), card("net2"), card("net3")] }));
  await assert.rejects(bench.late.join(), /all 8 root ports/);
  assert.deepEqual(bench.calls, ["plug net1", "plug net2", "release net2", "release net3", "tellAgain"]);
});

Deno.test("pods A11: LateNetwork.follow() says what it could not do, goes on, and ends with the sandbox", async () => {
  const bench = new Bench();
  bench.failing.set("plug net1", new KataError("RESOURCE_EXHAUSTED", "all 8 root ports are in use"));
  bench.scans.push(scan({ cards: [card("net1")] }), scan({ cards: [card("net2")] }));
  const following = bench.late.follow();
  for (const awaited of ["tellAgain", "plug net2"]) {
    bench.news.resolve();
    while (!bench.calls.includes(awaited)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.match(bench.lines.join(), /Cannot follow a change of the pod's network.*all 8 root ports/);
  bench.end.abort();
  bench.news.resolve();
  await following;
});
