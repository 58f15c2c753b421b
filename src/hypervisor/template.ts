/**
 * Templates: machines that were saved after their boot, and from which sandboxes start instead of booting.
 *
 * Clones of one template start with the same memory: kernel and agent as they run, with every secret that they had made
 * for themselves by then, such as the seeds of the kernel's hash tables and its stack canary. None of it is a
 * container's, as none had run. Each clone gets a copy: no page is ever shared for writing, nor could another guest be
 * watched through it. Before a container runs, a clone gets fresh entropy, which the kernel's generator is reseeded
 * from, and the time; and the template never opened a connection or asked for its boot id, so that the kernel makes up
 * its secrets for those in each clone. A user who can write to the directory of the templates can run code in every
 * guest: it is root's alone.
 *
 * @module
 */
import { removeIfThere } from "../base/files.ts";
import { fileIdentity } from "../linux/fs/identity.ts";
import { distrust } from "../linux/fs/trusted.ts";
import { killRecorded } from "./process/pid_file.ts";

/** Properties that a template must share with the machine that starts from it. Values are compared as text. */
export interface TemplateIdentity {
  /** Version of this program. */
  program: string;
  /** Files by their role, each with size and time of change: emulator, kernel, initrd, image, firmware. */
  files: Readonly<Record<string, string>>;
  /** With KVM the host's processor, as the guest sees it. */
  processor: string;
  memoryMiB: number;
  vcpus: number;
  /** The monitor's arguments, with paths of the single machine left out. */
  arguments: readonly string[];
}

/** `template.json`. */
export interface TemplateRecord {
  identity: TemplateIdentity;
  /** ISO 8601 */
  madeAt: string;
}

/** A template on disk. */
export interface Template extends TemplateRecord {
  /** Digest of the identity, and the name of its directory. */
  id: string;
  directory: string;
}

const RECORD = "template.json";
/** Directories that are not finished begin with this. */
const UNFINISHED = ".making-";

/** Files of one template. */
export function templateFiles(directory: string): { memory: string; state: string } {
  return { memory: `${directory}/memory`, state: `${directory}/state` };
}

/** A file as it is now: another one in its place has another stamp. Empty for no file. */
export function stampFile(path: string): string {
  if (path === "") return "";
  const { size, mtime } = Deno.statSync(path);
  return `${path} (${size} bytes, inode ${fileIdentity(path).split(":").at(-1)}, changed ${
    mtime?.toISOString() ?? "never"
  })`;
}

/** Names a template: 32 hexadecimal digits. */
export async function templateId(identity: TemplateIdentity): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(identity));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 32);
}

/** The finished templates below a directory, by their time; none if it does not exist. */
export function listTemplates(root: string): Template[] {
  const templates = directories(root).flatMap((id) => readTemplate(root, id) ?? []);
  return templates.sort((a, b) => a.madeAt.localeCompare(b.madeAt));
}

/** @returns undefined if there is none of this id. */
export function readTemplate(root: string, id: string): Template | undefined {
  const directory = `${root}/${id}`;
  try {
    const { identity, madeAt } = JSON.parse(Deno.readTextFileSync(`${directory}/${RECORD}`)) as TemplateRecord;
    return { id, directory, identity, madeAt };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new Error(`Cannot read template "${directory}"`, { cause: error });
  }
}

/** The template of this identity, or why there is none. */
export async function fittingTemplate(root: string, wanted: TemplateIdentity): Promise<Template | string> {
  const id = await templateId(wanted);
  const problem = distrust(`${root}/${id}`);
  if (problem !== undefined && problem !== "ENOENT") return problem;
  const template = readTemplate(root, id);
  if (template !== undefined) return template;
  const last = listTemplates(root).at(-1);
  if (last === undefined) return `there is none in ${root}; "kata-runtime factory init" makes one`;
  return `none in ${root} fits; of the last one, ${differences(last.identity, wanted).join("; ")}`;
}

/** A template that is being made. Disposing it removes what was not published. */
export class UnfinishedTemplate implements Disposable {
  readonly directory: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    Deno.mkdirSync(root, { recursive: true, mode: 0o700 });
    verifyRoot(root);
    this.directory = Deno.makeTempDirSync({ dir: root, prefix: UNFINISHED });
    // QEMU would make it readable for everybody; it fills an empty file as well.
    Deno.writeFileSync(templateFiles(this.directory).memory, new Uint8Array(), { mode: 0o600, createNew: true });
  }

  /** Makes it a template, at once for everybody. If somebody else was faster, theirs stays. */
  async publish(identity: TemplateIdentity): Promise<Template> {
    const id = await templateId(identity);
    const record: TemplateRecord = { identity, madeAt: new Date().toISOString() };
    Deno.writeTextFileSync(`${this.directory}/${RECORD}`, `${JSON.stringify(record, undefined, 2)}\n`);
    try {
      Deno.renameSync(this.directory, `${this.#root}/${id}`);
    } catch (cause) {
      const theirs = readTemplate(this.#root, id);
      if (theirs === undefined) throw new Error(`Cannot put template "${id}" in its place`, { cause });
      return theirs;
    }
    return { id, directory: `${this.#root}/${id}`, ...record };
  }

  [Symbol.dispose](): void {
    removeIfThere(this.directory, { recursive: true });
  }
}

/**
 * Removes all templates, and what an attempt that failed or still runs has. Sandboxes that run have copies of their own.
 *
 * @returns The ids of the templates.
 * @throws {Error} Others than root can write to the directory: what it says about processes to end is not ours.
 */
export async function removeTemplates(root: string): Promise<readonly string[]> {
  verifyRoot(root);
  const removed = directories(root).filter((name) => name.startsWith(UNFINISHED) || readTemplate(root, name));
  for (const name of removed) {
    await killRecorded(`${root}/${name}`);
    removeIfThere(`${root}/${name}`, { recursive: true });
  }
  return removed.filter((name) => !name.startsWith(UNFINISHED));
}

function verifyRoot(root: string): void {
  const problem = distrust(root);
  if (problem !== undefined && problem !== "ENOENT") throw new Error(`Cannot use template_path "${root}": ${problem}`);
}

/** In what two identities differ: one line each, for people. */
export function differences(template: TemplateIdentity, wanted: TemplateIdentity): string[] {
  const [theirs, ours] = [namedValues(template), namedValues(wanted)];
  const names = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])];
  const lines = names.filter((name) => theirs[name] !== ours[name]).map((name) =>
    `${name} is ${theirs[name] || "none"}, not ${ours[name] || "none"}`
  );
  if (lines.length > 0) return lines; // the arguments follow from these
  const [has, lacks] = [onlyIn(template, wanted), onlyIn(wanted, template)];
  return has === "" && lacks === "" ? [] : [`the monitor was started with ${has || "less"}, not with ${lacks || "it"}`];
}

function namedValues({ program, files, processor, memoryMiB, vcpus }: TemplateIdentity): Record<string, string> {
  return { program, ...files, processor, memory: `${memoryMiB} MiB`, vcpus: String(vcpus) };
}

function onlyIn(one: TemplateIdentity, other: TemplateIdentity): string {
  return one.arguments.filter((argument) => !other.arguments.includes(argument)).join(" ");
}

/** Lists templates that only we can change: other users may make some, if the root is a directory such as `/tmp`. */
function directories(root: string): string[] {
  try {
    const names = [...Deno.readDirSync(root)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
    return names.filter((name) => distrust(`${root}/${name}`) === undefined);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
