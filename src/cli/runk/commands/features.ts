/** `runk features`: what the engine can do, as the specification's features document. @module */
import { engineFeatures } from "../../../oci/spec/features.ts";
import { VERSION } from "../../../base/version.ts";
import { type Command, defineCommand, print } from "../command.ts";

export const command: Command = defineCommand({
  usage: "",
  summary: "Prints what runk supports, as JSON.",
  flags: {},
  words: [0, 0],
  run() {
    const features = { ...engineFeatures(), annotations: { "org.kata-containers.runk.version": VERSION } };
    print(`${JSON.stringify(features, undefined, 2)}\n`);
    return Promise.resolve(0);
  },
});
