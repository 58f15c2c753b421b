/** Plan for one container: its bundle, the flags it is made with, and the commands after that. @module */
import fc from "fast-check";
import type { Box, Spec } from "../runtime.ts";

/** A command on the running container. `ID`, `BUNDLE`, `PROBE` and `FILE` in its words stand for what they name. */
export interface Command {
  /** Row in the table of commands. */
  name: string;
  args: readonly string[];
  stdin?: string;
  /** Written as JSON to the path that `FILE` stands for. */
  file?: unknown;
}

/** Where the parts of a configuration go. */
export class Plan {
  readonly box: Box;
  /** The name of its cgroup that no other has. */
  readonly cgroup: string;
  /** Flags of `create` or `run`. */
  readonly flags: string[] = [];
  /** Files that are open from descriptor 3 on. */
  readonly fds: string[] = [];
  id: string;
  /** `run` in the foreground, instead of `create` and `start`. */
  isForeground = false;
  /** Somebody waits for the terminal. */
  hasConsole = false;
  /** Text of config.json instead of the specification. */
  text: string | undefined;

  constructor(box: Box) {
    this.box = box;
    this.id = box.id();
    this.cgroup = box.spec.linux.cgroupsPath.split("/").at(-1);
    box.sh("PROBE");
    Deno.chmodSync(box.dir, 0o755);
    Deno.mkdirSync(this.out);
    Deno.chmodSync(this.out, 0o777);
  }

  get spec(): Spec {
    return this.box.spec;
  }

  /** A directory of the host that hooks write to. */
  get out(): string {
    return `${this.box.dir}/out`;
  }

  /** A file on the host. @returns Its path. */
  file(name: string, content = `${name}\n`): string {
    const path = `${this.box.dir}/${name}`;
    Deno.writeTextFileSync(path, content);
    return path;
  }

  /** A directory on the host. @returns Its path. */
  directory(name: string): string {
    const path = `${this.box.dir}/${name}`;
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** Writes config.json, with a program for the word `PROBE`. */
  save(probe: string): void {
    const text = JSON.stringify(this.spec).replace('"PROBE"', () => JSON.stringify(probe));
    Deno.writeTextFileSync(`${this.box.bundle}/config.json`, this.text ?? text);
  }
}

/** An independent part of a configuration: the values it may have, and what they change. */
export interface Part {
  values: fc.Arbitrary<unknown>;
  apply: (plan: Plan, value: unknown) => void;
}

/** A part whose `apply` knows the type of its values. */
export function part<T>(values: fc.Arbitrary<T>, apply: (plan: Plan, value: T) => void): Part {
  return { values, apply: (plan, value) => apply(plan, value as T) };
}

/** Some of the values, at least one. */
export function someOf<T>(...values: T[]): fc.Arbitrary<T[]> {
  return fc.subarray(values, { minLength: 1 });
}
