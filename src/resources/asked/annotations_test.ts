import assert from "node:assert/strict";
import { applyAnnotations, refuseUnknown } from "../../config/annotations.ts";
import { defaultConfig } from "../../config/schema.ts";
import { ANNOTATION_FATES, annotationFate } from "./annotations.ts";

const OURS = Object.entries(ANNOTATION_FATES).filter(([name]) => /^io\.katacontainers\..*[^.]$/.test(name));

Deno.test.each(OURS)("kind 1: annotation %s has the fate of its row", (name, fate) => {
  if ("carried" in fate) return refuseUnknown({ [name]: "x" });
  const words = "refused" in fate ? fate.refused : "";
  const config = defaultConfig();
  config.hypervisor.enable_annotations = [".*"];
  assert.throws(() => applyAnnotations(config, { [name]: "x" }), (error: Error) => {
    assert.ok(error.message.startsWith(`Cannot use annotation "${name}": ${words}`), error.message);
    return true;
  });
});

/** Annotations that the product's sources name. */
function named(directory: URL): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return /^(proto|testing|asked)$/.test(name) ? [] : named(new URL(`${name}/`, directory));
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) return [];
    const text = Deno.readTextFileSync(new URL(name, directory));
    const names = /"((?:io\.kubernetes|io\.katacontainers|cdi\.k8s\.io|org\.systemd\.property|run\.oci)[.\/][^"= ]*)"/g;
    return [...text.matchAll(names)].map(([, found]) => found!);
  });
}

/** The common beginning of those of the table; storages' own words. */
const NO_ANNOTATION = /^io\.katacontainers\.((config\.)?$|fs-opt\.)/;

Deno.test("kind 1: each annotation that the sources name has a row", () => {
  const all = named(new URL("../../", import.meta.url)).filter((name) => !NO_ANNOTATION.test(name));
  assert.ok(all.length > 20, all.join());
  assert.deepEqual(all.filter((name) => annotationFate(name) === undefined), []);
});
