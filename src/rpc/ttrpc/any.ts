/** Messages of any type inside others, as containerd writes and reads them. @module */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";

/**
 * Packs a message with its bare name as the type_url, such as `containerd.events.TaskExit`. containerd up to 1.6 looks up
 * just that, and knows nothing of the `type.googleapis.com/` that protobuf's own `anyPack` puts before it. Unpack with
 * `anyUnpack`, which takes both.
 */
export function packAny<D extends DescMessage>(schema: D, message: MessageInitShape<D>): Any {
  return create(AnySchema, { typeUrl: schema.typeName, value: toBinary(schema, create(schema, message)) });
}
