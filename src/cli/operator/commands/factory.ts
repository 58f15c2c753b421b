/** `factory`: templates, from which sandboxes start without booting (B41). @module */
import { type Command, InvalidArgumentError } from "commander";
import { errorChain } from "../../../base/error.ts";
import { createLogger } from "../../../base/log.ts";
import type { Config } from "../../../config/schema.ts";
import { describeTemplate } from "../../../hypervisor/create.ts";
import {
  differences,
  listTemplates,
  removeTemplates,
  type Template,
  templateFiles,
  type TemplateIdentity,
} from "../../../hypervisor/template.ts";
import { makeTemplate, templateVm } from "../../../sandbox/machine/make_template.ts";
import { print } from "../../output.ts";
import { readConfig } from "../settings.ts";

/** For the boot, the container that warms it up, and the save, on a busy host that emulates. */
const INIT_MS = 180_000;
const MIB = 2 ** 20;

/** See {@linkcode CommandFile}. */
export function define(factory: Command): void {
  factory.command("init")
    .description("make the template for the configuration, if there is none yet")
    .option("--memory <MiB>", "for sandboxes of another size than the configuration's", parseCount)
    .option("--vcpus <count>", "for sandboxes of another size than the configuration's", parseCount)
    .action((size, command) => init(command, size));
  factory.command("status")
    .description("list the templates, and say which of them the configuration can use")
    .action((_, command) => status(command));
  factory.command("destroy")
    .description("remove all templates; sandboxes that run are not touched")
    .action((_, command) => destroy(command));
}

/** A person who gives up, or a service manager: the machine that is being made must not stay. */
class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly signal: AbortSignal = this.#controller.signal;
  readonly #onSignal = () => this.#controller.abort(new Error("Cannot go on: it was interrupted"));

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, this.#onSignal);
  }

  [Symbol.dispose](): void {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, this.#onSignal);
  }
}

interface Size {
  memory?: number;
  vcpus?: number;
}

async function init(command: Command, size: Size): Promise<void> {
  const { config, path } = readConfig(command, (config) => withSize(config, size));
  const begin = performance.now();
  const log = createLogger({ sink: () => {} });
  using interruption = new Interruption();
  const signal = AbortSignal.any([interruption.signal, AbortSignal.timeout(INIT_MS)]);
  const { template, isNew } = await makeTemplate(config, { log, signal });
  const took = isNew ? `Made it in ${((performance.now() - begin) / 1000).toFixed(1)} s` : "It was there already";
  print(`${took}: ${describe(template)}\n`);
  if (!config.factory.enable_template) print(`No sandbox uses it: enable_template is off in "${path}"\n`);
}

function withSize(config: Config, { memory, vcpus }: Size): Config {
  const { hypervisor } = config;
  const { default_memory, default_vcpus } = hypervisor;
  return {
    ...config,
    hypervisor: { ...hypervisor, default_memory: memory ?? default_memory, default_vcpus: vcpus ?? default_vcpus },
  };
}

function parseCount(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected a whole number, at least 1");
}

/** @returns Nothing; the exit status is 1 if no template can be used. */
function status(command: Command): void {
  const { config, path } = readConfig(command);
  const { enable_template: isOn, template_path: root } = config.factory;
  print(`Configuration ${path}, templates in ${root}: ${isOn ? "on" : "off (enable_template)"}\n`);
  const wanted = wantedIdentity(config);
  if (typeof wanted === "string") print(`${wanted}\n`);
  const templates = listTemplates(root);
  for (const template of templates) print(`${describe(template)}\n    ${fits(template, wanted)}\n`);
  if (templates.length === 0) print('There is none; "kata-runtime factory init" makes one\n');
}

/** Identity of the configuration's own template, or why it can have none. */
function wantedIdentity(config: Config): TemplateIdentity | string {
  try {
    return describeTemplate(config.hypervisor, templateVm(config));
  } catch (error) {
    return errorChain(error);
  }
}

function fits({ identity }: Template, wanted: TemplateIdentity | string): string {
  if (typeof wanted === "string") return "does not fit";
  const lines = differences(identity, wanted);
  return lines.length === 0 ? "fits the configuration" : `does not fit the configuration: ${lines.join("; ")}`;
}

function describe({ id, identity: { memoryMiB, vcpus }, madeAt, directory }: Template): string {
  const bytes = Object.values(templateFiles(directory)).reduce((sum, file) => sum + storedBytes(file), 0);
  const made = madeAt.replace("T", " ").replace(/\..*/, " UTC");
  return `template ${id}, ${vcpus} vCPU, ${memoryMiB} MiB, made ${made}, ${Math.round(bytes / MIB)} MiB on disk`;
}

function storedBytes(file: string): number {
  return (Deno.statSync(file).blocks ?? 0) * 512;
}

async function destroy(command: Command): Promise<void> {
  const { config: { factory: { template_path: root } } } = readConfig(command);
  const removed = await removeTemplates(root);
  print(removed.length === 0 ? `There was none in ${root}\n` : `Removed ${removed.join(", ")} from ${root}\n`);
}
