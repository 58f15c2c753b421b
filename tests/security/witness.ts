/**
 * Picture of the host: trees with their contents, owners and modes, and the mounts, processes and sockets of the
 * machine. An attack that got out has changed some of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { removeShared } from "../../src/resources/share_fs.ts";
import { commandOf, list, ownPids } from "../interop/host.ts";
import { until } from "../support/wait.ts";

/** Long enough for what is being ended. */
const SETTLED_MS = 10_000;
const LISTENING = { unix: "00010000", tcp: "0A" } as const;

/** The host as it is now; see {@linkcode Witness.changes}. */
export class Witness {
  readonly #trees: readonly string[];
  readonly #before: { tree: readonly string[]; machine: readonly string[] };

  /** @param trees Directories that nobody may change. */
  constructor(...trees: readonly string[]) {
    this.#trees = trees;
    this.#before = { tree: this.#tree(), machine: machine() };
  }

  /** Changes in the trees, and in what is mounted there: a line for each, `+` is new, `-` is gone. */
  treeChanges(): string[] {
    return changes(this.#before.tree, this.#tree());
  }

  /** As {@linkcode treeChanges}, with what is otherwise in the whole machine: to be asked once all pods are gone. */
  changes(): string[] {
    return [...new Set([...this.treeChanges(), ...changes(this.#before.machine, machine())])];
  }

  /** Fails unless the host is as it was. What is on its way out may take a moment. */
  async sawNothing(): Promise<void> {
    await until(() => this.changes().length === 0, { ms: SETTLED_MS }).catch(() => {});
    assert.deepEqual(this.changes(), []);
  }

  #tree(): string[] {
    // A volume that is in the tree is mounted elsewhere by right.
    const isIn = (line: string) => this.#trees.some((tree) => line.split(" ")[2]!.startsWith(tree));
    const mounts = mountLines().filter(isIn);
    return [...this.#trees.flatMap((tree) => linesOf(tree)), ...mounts];
  }
}

/** A directory with a few files, for attacks to aim at. Disposing it removes it, and what an attack mounted there. */
export function makeVictim(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "kata-victim-" });
  Deno.mkdirSync(`${path}/etc/cron.d`, { recursive: true });
  Deno.writeTextFileSync(`${path}/etc/shadow`, "root:*:1:0:99999:7:::\n", { mode: 0o600 });
  Deno.writeTextFileSync(`${path}/secret`, "THE-HOSTS-SECRET\n", { mode: 0o600 });
  return { path, [Symbol.dispose]: () => removeShared(path) };
}

function changes(before: readonly string[], after: readonly string[]): string[] {
  const [was, is] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !is.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !was.has(line)).map((line) => `+ ${line}`),
  ];
}

/** A line for each file at or below a path, but not below what is mounted there. */
function linesOf(path: string, device = Deno.lstatSync(path).dev): string[] {
  const info = Deno.lstatSync(path);
  if (info.dev !== device) return [`${path}: another file system`];
  const kind = info.isDirectory ? "directory" : info.isSymlink ? "link" : info.isFile ? "file" : "special";
  const mode = ((info.mode ?? 0) & 0o7777).toString(8);
  const line = `${path}: ${kind} ${mode} ${info.uid}:${info.gid} ${info.mtime?.toISOString()} ${contentOf(path, kind)}`;
  return [
    line,
    ...(info.isDirectory ? list(path).toSorted().flatMap((name) => linesOf(`${path}/${name}`, device)) : []),
  ];
}

function contentOf(path: string, kind: string): string {
  if (kind === "link") return `-> ${Deno.readLinkSync(path)}`;
  return kind === "file" ? createHash("sha256").update(Deno.readFileSync(path)).digest("hex") : "";
}

function machine(): string[] {
  return [...mountLines(), ...processLines(), ...socketLines()];
}

function mountLines(): string[] {
  const lines = Deno.readTextFileSync("/proc/self/mountinfo").trim().split("\n");
  return lines.map((line) => line.split(" ").toSpliced(0, 3)).map((words) => `mount ${words.slice(0, 3).join(" ")}`);
}

/** Kernel threads have no command line. */
function processLines(): string[] {
  const running = ownPids().map((pid) => ({ pid, command: commandOf(String(pid)).join("").trim() }));
  return running.filter(({ command }) => command !== "").map(({ pid, command }) => `process ${pid}: ${command}`);
}

/** Sockets that somebody can connect to. */
function socketLines(): string[] {
  const unix = rows("/proc/net/unix").filter((row) => row[3] === LISTENING.unix).map((row) => `socket ${row[7]}`);
  const tcp = ["tcp", "tcp6"].flatMap((kind) =>
    rows(`/proc/net/${kind}`).filter((row) => row[3] === LISTENING.tcp).map((row) => `${kind} ${row[1]}`)
  );
  return [...unix, ...tcp];
}

function rows(path: string): string[][] {
  try {
    return Deno.readTextFileSync(path).trim().split("\n").slice(1).map((line) => line.trim().split(/\s+/));
  } catch {
    return []; // no such protocol in this kernel
  }
}
