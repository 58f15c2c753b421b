/** Answer of `-info`. @module */
import { create, toBinary } from "@bufbuild/protobuf";
import { VERSION } from "../base/version.ts";
import { RuntimeInfoSchema } from "../proto/containerd_types_pb.ts";

/**
 * The protobuf that containerd 2 reads (B52). It names no mount types that containerd's mount manager must leave to the
 * shim: we take none but those that any containerd hands over.
 */
export function runtimeInfo(): Uint8Array {
  const info = create(RuntimeInfoSchema, {
    name: "io.containerd.kata.v2",
    version: { version: VERSION, revision: "" },
  });
  return toBinary(RuntimeInfoSchema, info);
}
