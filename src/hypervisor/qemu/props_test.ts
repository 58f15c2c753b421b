import assert from "node:assert/strict";
import { jsonProps, keyval, type Props } from "./props.ts";

Deno.test.each<{ name: string; props: Props; text: string }>([
  { name: "the type alone", props: { driver: "virtio-rng-pci", id: "r" }, text: "virtio-rng-pci,id=r" },
  { name: "switches as on and off", props: { type: "q35", smm: false, acpi: true }, text: "q35,smm=off,acpi=on" },
  {
    name: "tables as dotted names",
    props: { d: "raw", file: { driver: "file", n: 1 } },
    text: "raw,file.driver=file,file.n=1",
  },
  { name: "doubled commas", props: { d: "x", path: "/a,b" }, text: "x,path=/a,,b" },
  { name: "no undefined", props: { d: "x", serial: undefined }, text: "x" },
])("keyval() prints $name", ({ props, text }) => assert.equal(keyval(props), text));

Deno.test("jsonProps() drops undefined at every depth", () => {
  assert.deepEqual(jsonProps({ a: 1, b: undefined, c: { d: undefined, e: true } }), { a: 1, c: { e: true } });
});
