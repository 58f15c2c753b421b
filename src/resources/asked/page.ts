/** The page for users, written from the tables. Pure. @module */
import type { Fate, Fates } from "./fate.ts";
import { ANNOTATION_FATES } from "./annotations.ts";
import { LINK_KIND_FATES } from "./links.ts";
import { MOUNT_FATES, OPTION_FATES } from "./mounts.ts";
import { NETWORK_FATES } from "./network.ts";
import { SPEC_FATES } from "./spec.ts";

const INTRODUCTION = `# What is asked is what happens

This page is written by \`scripts/generate\` from the tables in \`src/resources/asked\`, which tests hold to the
specification's schema, to the kernel's headers, and to what the code does. Each thing that may be asked of a container
is carried out, refused by name, or says nothing to a virtual machine.
`;

/** The whole page. */
export function askedPage(): string {
  const network = Object.entries(NETWORK_FATES).map(([prefix, { title, fates }]) =>
    section(`${title} (\`${prefix}*\`)`, fates)
  );
  const fields = section("Fields of the OCI specification", SPEC_FATES);
  const annotations = section("Annotations", ANNOTATION_FATES);
  const mounts = [section("Mounts", MOUNT_FATES), section("Options of mounts", OPTION_FATES)];
  const kinds = section("Kinds of links", LINK_KIND_FATES);
  return [INTRODUCTION, fields, annotations, ...mounts, kinds, ...network].join("\n");
}

function section(title: string, fates: Fates): string {
  const lines = Object.entries(fates).map(([name, fate]) => `- ${name}: ${words(fate)}\n`);
  return `## ${title}\n\n${lines.join("")}`;
}

function words(fate: Fate): string {
  const [[kind, text]] = Object.entries(fate) as [[string, string]];
  return `**${kind}** (${text})`;
}
