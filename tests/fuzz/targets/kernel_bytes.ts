/** Bytes of the kernel and of the bus: netlink, events, tables. @module */
import {
  attributeMap,
  decodeAck,
  decodeAttributes,
  decodeMessages,
  encodeMessage,
} from "../../../src/linux/net/netlink.ts";
import { decodeInotify } from "../../../src/linux/io/inotify.ts";
import { decodeAddress, encodeAddress } from "../../../src/linux/net/rtnetlink_address.ts";
import { decodeLink } from "../../../src/linux/net/rtnetlink_link.ts";
import { encodeNewLink } from "../../../src/linux/net/rtnetlink_link_change.ts";
import { decodeNeighbor, encodeNeighbor } from "../../../src/linux/net/rtnetlink_neighbor.ts";
import { decodeRoute, encodeRoute } from "../../../src/linux/net/rtnetlink_route.ts";
import { decodeRule } from "../../../src/linux/net/rtnetlink_rule.ts";
import { decodeUevent } from "../../../src/linux/device/uevent.ts";
import {
  decodeMessage as decodeBusMessage,
  encodeMessage as encodeBusMessage,
} from "../../../src/systemd/dbus_message.ts";
import { splitSignature } from "../../../src/systemd/dbus_wire.ts";
import { parseStartInput } from "../../../src/shim/start/input.ts";
import { decodeRequest, decodeResponse } from "../../../src/rpc/ttrpc/envelope.ts";
import { bytesParsers } from "../core/parsers.ts";

const ADDRESS = encodeAddress({ link: 2, address: "10.0.0.1/24", broadcast: "10.0.0.255" });
const LINK = encodeNewLink({ name: "eth0", kind: "dummy" });
const ROUTE = encodeRoute({ link: 2, destination: "10.0.0.0/8", gateway: "10.0.0.1" });
const MULTIPATH = encodeRoute({
  destination: "10.0.0.0/8",
  nexthops: [
    { gateway: "10.0.0.1", link: 2, weight: 1, flags: 0 },
    { gateway: "10.0.0.2", link: 3, weight: 256, flags: 4 },
  ],
});
/** IPv4, priority 100, table 1000. */
const RULE = Uint8Array.of(2, 0, 0, 0, 252, 0, 0, 1, 0, 0, 0, 0, 8, 0, 6, 0, 100, 0, 0, 0, 8, 0, 15, 0, 232, 3, 0, 0);
const NEIGHBOR = encodeNeighbor({ link: 2, address: "10.0.0.2", mac: "02:00:00:00:00:01" });

const messages = [ADDRESS, LINK, ROUTE, NEIGHBOR].map((payload, type) =>
  encodeMessage({ type: 16 + type, flags: 2, sequence: 1, portId: 0, payload })
);
const ack = encodeMessage({ type: 2, flags: 0x200, sequence: 1, portId: 0, payload: new Uint8Array(40) });

const bus = [
  encodeBusMessage({ type: 2, serial: 7, replySerial: 1, sender: ":1.2", signature: "s", body: ["hello"] }),
  encodeBusMessage({
    type: 4,
    serial: 8,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "JobRemoved",
    signature: "uosa(sv)",
    body: [1, "/job/1", "done", [["a", { signature: "t", value: 5n }]]],
  }),
];

function text(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}

export const kernelBytes = bytesParsers({
  name: "kernel-bytes",
  rounds: 6000,
  rows: {
    "netlink messages": {
      good: [...messages, ack],
      parse(bytes) {
        for (const message of decodeMessages(bytes)) {
          if (message.type === 2) decodeAck(message);
          else if (message.payload.length > 8) decodeAttributes(message.payload.subarray(8));
        }
      },
    },
    attributes: { good: messages.map((bytes) => bytes.subarray(24)), parse: attributeMap },
    link: { good: [LINK], parse: decodeLink },
    address: { good: [ADDRESS], parse: decodeAddress },
    route: { good: [ROUTE, MULTIPATH], parse: decodeRoute },
    rule: { good: [RULE], parse: decodeRule },
    neighbor: { good: [NEIGHBOR], parse: decodeNeighbor },
    uevent: {
      good: [text("add@/devices/pci0000:00/virtio1/block/vda\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=vda\0SEQNUM=1\0")],
      parse: decodeUevent,
    },
    inotify: {
      good: [Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x61, 0, 0, 0)],
      parse: decodeInotify,
    },
    bus: {
      good: bus,
      parse(bytes) {
        for (let rest = bytes; rest.length > 0;) {
          const decoded = decodeBusMessage(rest);
          if (decoded === undefined) return;
          rest = rest.subarray(decoded.length);
        }
      },
    },
    signature: {
      good: [text("a(sv)"), text("sa{sv}(ii)")],
      parse: (bytes) => splitSignature(new TextDecoder().decode(bytes)),
    },
    "start input": {
      good: [text("\n\x03abc\x12\x06k8s.io")],
      parse: (bytes) => parseStartInput(bytes, { id: "abc", namespace: "k8s.io", address: "" }),
    },
    envelope: {
      good: [text("\n\x0bgrpc.Health\x12\x05Check")],
      parse: (bytes) => [decodeRequest(bytes), decodeResponse(bytes)],
    },
  },
});
