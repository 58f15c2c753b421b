/** Takes out of what was seen all that differs from one container to the next. @module */
import type { Plan } from "./plan.ts";

export class Normal {
  readonly #plan: Plan;
  /** The namespaces of the first process, by kind. */
  #namespaces: Record<string, string> = {};

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Names of files and groups that only this container has. */
  text(text: string): string {
    const { box, id, cgroup } = this.#plan;
    return text
      .replaceAll(box.dir, "/BOX").replaceAll(box.dir.split("/").at(-1)!, "BOX")
      .replaceAll(id || "no id", "ID").replaceAll(cgroup, "CGROUP")
      .replaceAll(/\/BOX\/[0-9a-f-]{36}\./g, "/BOX/FILE.")
      .replaceAll(/ +$/gm, "").trim();
  }

  sorted(text: string): string {
    return text.split("\n").sort().join("\n");
  }

  /** A section of the probe. */
  section(name: string, text: string): string {
    if (name === "namespaces") return this.#namespacesOf(text);
    if (name === "mounts") return mounts(text);
    if (name === "files" || name === "groups") return this.sorted(text);
    // Those of other containers are there for a while.
    if (name === "keys") return text.split("\n").filter((line) => line.includes(this.#plan.id)).join("\n");
    if (name === "descriptors") return text.replaceAll(/^.*? (\d+ -> )/gm, "$1").replaceAll(/:\[\d+\]/g, "");
    return text;
  }

  /** Output of a command. */
  output([name, ...args]: readonly string[], text: string): string {
    if (name === "state") return text === "" ? "" : this.state(text);
    if (name === "events") return text === "" ? "" : shape(JSON.parse(text)).join("\n");
    if (name === "list" && args.includes("json")) return this.#list(text);
    if (name === "list") {
      return this.text(text).replaceAll(/\d{4}-\S+Z/g, "TIME").replaceAll(/\b\d+\b/g, "N").replaceAll(/[ \t]+/g, " ");
    }
    if (name === "ps") return text.replaceAll(/\d+/g, "N").replaceAll(/ +/g, " ");
    return text;
  }

  /** The state that the command prints and hooks get. */
  state(text: string): string {
    const { pid, created, ...rest } = JSON.parse(text);
    const stated = { ...rest, hasPid: pid > 0, ...(created !== undefined && { wasCreated: Date.parse(created) > 0 }) };
    return JSON.stringify(stated, Object.keys(stated).concat(Object.keys(rest.annotations ?? {})).sort(), 1);
  }

  hooks(text: string): string {
    return text.split("\n").map((line) => {
      if (line.startsWith("{")) return this.state(line);
      const [, kind, id] = /^(\w+) (\w+:\[\d+\])$/.exec(line) ?? [];
      return kind === undefined ? line : `${kind} ${this.#owner(kind, id!)}`;
    }).join("\n");
  }

  #list(text: string): string {
    if (text.trim() === "") return "";
    return (JSON.parse(text) ?? []).map((one: unknown) => this.state(JSON.stringify(one))).join("\n");
  }

  #namespacesOf(text: string): string {
    const found = Object.fromEntries(
      text.trim().split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)?.slice(1) ?? [line]),
    );
    if (Object.keys(this.#namespaces).length === 0) this.#namespaces = found;
    return Object.entries(found).map(([kind, id]) => `${kind}: ${this.#owner(kind, id as string)}`).join("\n");
  }

  #owner(kind: string, id: string): string {
    if (!id.includes("[")) return "not to be seen";
    if (id === Deno.readLinkSync(`/proc/self/ns/${kind}`)) return "the host's";
    return id === this.#namespaces[kind] ? "the container's" : "another";
  }
}

/** Lines of mountinfo, with mount points instead of numbers. */
function mounts(text: string): string {
  const rows = text.trim().split("\n").filter((line) => line !== "").map((line) => line.split(" "));
  const points = new Map(rows.map(([id, , , , point]) => [id, point]));
  return rows.map(([, parent, , root, point, options, ...rest]) => {
    const shared = rest.slice(0, rest.indexOf("-")).map((word) => word.replace(/:\d+/, ""));
    return [
      point,
      "in",
      points.get(parent) ?? "none",
      "from",
      root,
      options,
      ...shared,
      ...rest.slice(rest.indexOf("-")),
    ]
      .join(" ");
  }).sort().join("\n");
}

/** The keys of a JSON value, and the types of what they hold. */
function shape(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [`${path} ${typeof value}`];
  const entries = Array.isArray(value) ? value.slice(0, 1).map((one) => ["[]", one]) : Object.entries(value);
  return entries.flatMap(([key, inner]) => shape(inner, `${path}.${key}`)).sort();
}
