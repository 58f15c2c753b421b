import assert from "node:assert/strict";
import type { DescField, DescFile, DescMessage } from "@bufbuild/protobuf";
import * as library from "@bufbuild/protobuf/wkt";
import { fileDesc } from "./descriptor.ts";
import * as wellKnown from "./well_known.ts";

const FOLDER = new URL("../../../src/proto/", import.meta.url);
const GENERATED = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith("_pb.ts"));

/** The library's description of a generated file: here, as on the host, the generated code calls the library. */
async function libraryFile(name: string): Promise<DescFile> {
  const module: Record<string, unknown> = await import(new URL(name, FOLDER).href);
  return module[`file_${name.replace("_pb.ts", "")}`] as DescFile;
}

/** Our description of the same file, with its imports. */
async function ourFile(name: string): Promise<DescFile> {
  const source = Deno.readTextFileSync(new URL(name, FOLDER));
  const [, base64, list = ""] = /fileDesc\("([^"]+)"(?:, \[([^\]]*)\])?\)/.exec(source)!;
  const imports = list.split(",").map((word) => word.trim()).filter((word) => word !== "");
  const files = imports.map((path) => {
    const known = (wellKnown as unknown as Record<string, DescFile>)[path];
    return known ?? ourFile(`${path.replace("file_", "")}_pb.ts`);
  });
  return fileDesc(base64!, await Promise.all(files));
}

/** All that encoding, decoding, JSON and services read from a description. */
function summary(file: DescFile): unknown {
  return {
    name: file.name,
    edition: file.edition,
    package: file.proto.package,
    enums: file.enums.map(summarizeEnum),
    messages: file.messages.map(summarizeMessage),
    services: file.services.map((service) => ({
      type: service.typeName,
      methods: service.methods.map(({ name, localName, methodKind, input, output }) => [
        name,
        localName,
        methodKind,
        input.typeName,
        output.typeName,
      ]),
    })),
  };
}

function summarizeEnum({ typeName, values, open, sharedPrefix }: DescFile["enums"][number]): unknown {
  return {
    typeName,
    open,
    sharedPrefix,
    values: values.map(({ name, localName, number }) => [name, localName, number]),
  };
}

function summarizeMessage(message: DescMessage): unknown {
  return {
    type: message.typeName,
    fields: message.fields.map(summarizeField),
    oneofs: message.oneofs.map(({ name, localName, fields }) => [name, localName, fields.map((field) => field.name)]),
    members: message.members.map(({ name }) => name),
    nested: message.nestedMessages.map(summarizeMessage),
    enums: message.nestedEnums.map(summarizeEnum),
  };
}

function summarizeField(field: DescField): unknown {
  const { name, number, localName, jsonName, fieldKind, presence, deprecated } = field;
  const rest: Record<string, unknown> = { ...field };
  const kinds = [
    "scalar",
    "listKind",
    "mapKind",
    "mapKey",
    "packed",
    "longAsString",
    "delimitedEncoding",
    "utf8Validation",
  ];
  const types = [field.message?.typeName, field.enum?.typeName, field.oneof?.name];
  return {
    name,
    number,
    localName,
    jsonName,
    fieldKind,
    presence,
    deprecated,
    types,
    kinds: kinds.map((key) => rest[key]),
  };
}

for (const name of GENERATED) {
  Deno.test(`fileDesc() describes ${name} as the library does`, async () => {
    assert.deepEqual(summary(await ourFile(name)), summary(await libraryFile(name)));
  });
}

for (
  const name of ["file_google_protobuf_any", "file_google_protobuf_empty", "file_google_protobuf_timestamp"] as const
) {
  Deno.test(`${name} is the library's`, () => {
    assert.deepEqual(summary(wellKnown[name]), summary(library[name]));
  });
}

Deno.test("fileDesc() refuses a description that is cut off", () => {
  assert.throws(() => fileDesc("Cg"), RangeError);
});

Deno.test("timestampFromMs() keeps what is below a millisecond, and times before 1970", () => {
  assert.deepEqual({ ...wellKnown.timestampFromMs(-0.5) }, { ...library.timestampFromMs(-0.5) });
  assert.equal(wellKnown.timestampMs(wellKnown.timestampFromMs(1_700_000_000_123)), 1_700_000_000_123);
});
