/** `runk list`: every container below the state root. @module */
import { Container } from "../../../oci/container/container.ts";
import { isErrno } from "../../../linux/ffi/errno.ts";
import { readPasswd } from "../../../oci/init/user.ts";
import { formatTable } from "../../output.ts";
import { type Command, defineCommand, type GlobalOptions, homeOf, print, rootfsOf } from "../command.ts";

interface Row {
  ociVersion: string;
  id: string;
  pid: number;
  status: string;
  bundle: string;
  rootfs: string;
  created: string;
  owner: string;
}

export const command: Command = defineCommand({
  usage: "",
  summary: "Lists containers.",
  flags: {
    format: { kind: "text", aliases: ["f"], value: "FORMAT", help: "table (default) or json" },
    quiet: { kind: "flag", aliases: ["q"], help: "ids only" },
  },
  words: [0, 0],
  async run({ global, flags }) {
    const rows = listContainers(global);
    const format = flags.format ?? "table";
    if (flags.quiet) print(rows.map(({ id }) => `${id}\n`).join(""));
    else if (format === "json") print(`${JSON.stringify(rows)}\n`);
    else if (format === "table") print(table(rows));
    else throw new RangeError(`Cannot list as "${format}": formats are table and json`);
    return 0;
  },
});

function listContainers(global: GlobalOptions): Row[] {
  const home = homeOf(global);
  const users = readPasswd("/");
  return ids(global).flatMap((id) => {
    try {
      const container = Container.load(id, home);
      const { ociVersion, pid, status, bundle } = container.state();
      const uid = Deno.statSync(`${global.root}/${id}`).uid ?? 0;
      const owner = users.find((user) => user.uid === uid)?.name ?? `#${uid}`;
      return [{ ociVersion, id, pid, status, bundle, rootfs: rootfsOf(container), created: container.created, owner }];
    } catch (error) {
      // Deleted meanwhile, or left half made by a killed create: not worth failing the whole list.
      global.log.warning(`Cannot list container "${id}"`, { error });
      return [];
    }
  });
}

function ids({ root, isRootNamed }: GlobalOptions): string[] {
  try {
    return [...Deno.readDirSync(root)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
  } catch (error) {
    if (isErrno(error, "ENOENT") && !isRootNamed) return [];
    throw new Error(`Cannot list containers below "${root}"`, { cause: error });
  }
}

function table(rows: readonly Row[]): string {
  const head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
  return formatTable([
    head,
    ...rows.map((row) => [row.id, String(row.pid), row.status, row.bundle, row.created, row.owner]),
  ]);
}
