/** Making a template for the sandboxes of a configuration. @module */
import { abortable } from "../../base/async.ts";
import { systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import { configuredSizes } from "../../config/sizes.ts";
import { createHypervisor, describeTemplate } from "../../hypervisor/create.ts";
import { facetOf } from "../../hypervisor/facets.ts";
import {
  readTemplate,
  type Template,
  templateFiles,
  templateId,
  UnfinishedTemplate,
} from "../../hypervisor/template.ts";
import type { VmConfig } from "../../hypervisor/vm_config.ts";
import { captureOutput } from "../../linux/process/spawn.ts";
import { startSize } from "../../resources/sizing.ts";
import { connectAgent } from "../agent/client.ts";
import { vmConfigOf } from "./vm_config.ts";
import { warmUp } from "./warm_up.ts";

/**
 * For the agent to see that the connection has ended, which nothing tells the host: otherwise each clone would have to find
 * that out before it takes its own host's call.
 */
const SETTLE_MS = 500;

export interface MakeTemplateOptions {
  log: Logger;
  signal: AbortSignal;
}

/**
 * Boots a machine, lets its agent run a container, and saves it (B41). A template that is there already stays.
 *
 * @returns The template, and whether it is new.
 * @throws {Error} Why there can be none; nothing is left behind.
 */
export async function makeTemplate(
  config: Config,
  options: MakeTemplateOptions,
): Promise<{ template: Template; isNew: boolean }> {
  const root = config.factory.template_path;
  const vm = templateVm(config);
  const identity = describeTemplate(config.hypervisor, vm);
  const present = readTemplate(root, await templateId(identity));
  if (present !== undefined) return { template: present, isNew: false };
  using unfinished = new UnfinishedTemplate(root);
  await saveMachine(config, vm, { ...options, directory: unfinished.directory });
  await squeeze(templateFiles(unfinished.directory).memory);
  return { template: await unfinished.publish(identity), isNew: true };
}

/** The VM of a template: as those of the sandboxes without a size of their own, before anything is in it. */
export function templateVm(config: Config): VmConfig {
  return vmConfigOf(config, { size: startSize(config.runtime, { sizes: configuredSizes(config.hypervisor) }) });
}

async function saveMachine(
  config: Config,
  vmConfig: VmConfig,
  { directory, log, signal }: MakeTemplateOptions & { directory: string },
): Promise<void> {
  const template = { kind: "make", directory } as const;
  await using vm = createHypervisor(config.hypervisor, vmConfig, { id: "template", runDir: directory, log, template });
  await vm.start({ signal });
  {
    using agent = await connectAgent(vm, { sandboxId: "template", config: config.agent, signal });
    await abortable(warmUp(agent), signal);
  }
  await systemClock.sleep(SETTLE_MS, signal);
  await vm.pause();
  await facetOf(vm, "snapshot", "save a template").save();
}

/** Much of the memory was written with zeros; as holes it need not be copied for each clone. */
async function squeeze(file: string): Promise<void> {
  const args = ["--sparse=always", file, `${file}.new`];
  const { code, stderr } = await captureOutput("cp", args);
  if (code !== 0) throw new Error(`Cannot copy "${file}": ${stderr.trim()}`);
  Deno.renameSync(`${file}.new`, file);
}
