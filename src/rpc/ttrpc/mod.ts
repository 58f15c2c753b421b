/**
 * ttRPC, as containerd and Kata's agent speak it: a client and a server over streams, with the services of protobuf-es and
 * the errors of Connect. This is the folder's public face (`./ttrpc` of the package); the product loads the one end that
 * it needs, to start faster.
 *
 * @see https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md
 * @module
 */
export { createTtrpcTransport, type TtrpcTransport, type TtrpcTransportOptions } from "./client.ts";
export { defineService, serveConnection, type ServeOptions, serveTtrpc, type TtrpcService } from "./server.ts";
export type { Duplex, Listener } from "../transport/duplex.ts";
export type { Fields, Logger } from "../../base/log.ts";
