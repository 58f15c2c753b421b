/** Cards that the agent lets go of, in a network namespace of their own, with a sysfs made of files. Needs root. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { removeNetwork } from "../../src/agent/network/network_removal.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { createNetns, enterNetns } from "../../src/linux/process/namespace.ts";
import { RemoveNetworkRequestSchema } from "../../src/proto/leftovers_pb.ts";

/** Results of removeNetwork() for a link `eth0` where sysfs shows a card of that name with this address or index. */
function removal(shown: { mac?: string; indexOff?: number }): { link: boolean; card: boolean } {
  using undo = new DisposableStack();
  const directory = Deno.makeTempDirSync({ prefix: "network_removal-" });
  undo.defer(() => Deno.removeSync(directory, { recursive: true }));
  undo.use(createNetns(`${directory}/netns`));
  using _ = enterNetns(`${directory}/netns`);
  using netlink = new Rtnetlink();
  const { index, mac } = netlink.addLink({ kind: "bridge", name: "eth0" });
  const [links, card] = [`${directory}/sys/class/net/eth0`, `${directory}/sys/devices/card`];
  for (const path of [links, `${card}/virtio2`]) Deno.mkdirSync(path, { recursive: true });
  Deno.symlinkSync(`${card}/virtio2`, `${links}/device`);
  Deno.writeTextFileSync(`${links}/address`, `${shown.mac ?? mac}\n`);
  Deno.writeTextFileSync(`${links}/ifindex`, `${index + (shown.indexOff ?? 0)}\n`);
  Deno.writeTextFileSync(`${card}/remove`, "");
  removeNetwork(create(RemoveNetworkRequestSchema, { cards: [mac ?? ""] }), `${directory}/sys`);
  return { link: netlink.findLink("eth0") !== undefined, card: Deno.readTextFileSync(`${card}/remove`) === "1" };
}

Deno.test.each([
  { whose: "its own", shown: {}, left: { link: true, card: true } },
  { whose: "another machine's, by address", shown: { mac: "02:fc:00:00:00:01" }, left: { link: false, card: false } },
  { whose: "another namespace's, by index", shown: { indexOff: 1 }, left: { link: false, card: false } },
])("removeNetwork() takes a card off its bus only if it is the link's: $whose", ({ shown, left }) => {
  assert.deepEqual(removal(shown), left);
});
