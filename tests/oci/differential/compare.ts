/** Compares two runtimes: differences that are allowed, and all others. @module */
import type { Sections } from "./observe.ts";

/** A difference on purpose: what is the same for both once it has been taken out. */
interface Difference {
  /** Names of the sections it is in. */
  sections: RegExp;
  why: string;
  /** Rewrites the text of either runtime. */
  level: (text: string) => string;
}

/** Where we are ourselves, in hierarchies that did not leave us at their root. */
const OWN_GROUPS = Deno.readTextFileSync("/proc/self/cgroup").split("\n")
  .flatMap((line) => /^\d+:.*?:(\/.+)$/.exec(line)?.[1] ?? []);

const DIFFERENCES: readonly Difference[] = [
  {
    sections: /(cgroups|attributes|mounts|groups)$/,
    why: "puts a group whose path is relative below the root, where runc puts it below its own",
    level: (text) => OWN_GROUPS.reduce((text, group) => text.replaceAll(`${group}/`, "/"), text),
  },
  {
    sections: /state|hooks|list/,
    why: "tells the version of the specification that it follows",
    level: (text) => text.replaceAll(/"ociVersion": ?"[^"]*"/g, '"ociVersion":"any"'),
  },
  {
    sections: /cgroups$/,
    why: "the order of the kernel is that of the writes",
    level: (text) => text.replaceAll(/devices.list: .*/g, (list) => list.slice(14).split(", ").sort().join(", ")),
  },
  {
    sections: /^(run|\d+ exec.*): descriptors$/,
    why: "hands its own descriptors to the process, where runc copies through pipes",
    level: (text) => text.replaceAll("/BOX/FILE", "pipe").replaceAll(/pipe\.\w+/g, "pipe"),
  },
  {
    sections: /^\d+ exec.*: (ids|status)$/,
    why: "gives a further process the umask of its configuration, which runc of 1.1 forgets",
    level: (text) => text.replaceAll(/^(Umask:\t)?0\d+$/gm, ""),
  },
  {
    sections: /: mounts$/,
    why: "masks files with the host's /dev/null, read-only, and gives the empty directory no size",
    level: (text) => text.replaceAll(/ from \/(\S*\/)?null .*/g, " from /null").replaceAll(",size=0k", ""),
  },
  {
    sections: /^\d+ events$/,
    why: "runc leaves out what is 0, and has a list of network interfaces that is always empty",
    level: (text) =>
      text.replaceAll(
        /^\.data\.(cpu\.throttling|memory\.cache|memory\.kernelTCP|pids\.limit|network_interfaces|blkio.*(minor|value)).*\n/gm,
        "",
      ),
  },
  {
    sections: /: mounts$/,
    why: "makes the directory of a read-only cgroup mount read-only too, and names all hierarchies' sources alike",
    level: (text) =>
      text.replaceAll(/^(\/sys\/fs\/cgroup in \S+ from \/) r[ow]/gm, "$1 any").replaceAll(
        "- cgroup systemd ",
        "- cgroup cgroup ",
      ),
  },
  {
    sections: /: mounts$/,
    why: "lets devices that a user namespace gets of the machine run no programs and give no rights, as crun does",
    level: (text) => text.replaceAll(/^(\/dev\/\w+ in \/dev from \/\w+ \w+),nosuid,noexec/gm, "$1"),
  },
  {
    sections: /: mounts$/,
    why: "makes a read-only tmpfs read-only as a whole, not only where it is mounted",
    level: (text) => text.replaceAll(/ - tmpfs (\S+) r[ow]/g, " - tmpfs $1 any"),
  },
  {
    sections: /^files of the host$/,
    why: "makes the files that devices are bound to as it makes all others to bind to",
    level: (text) => text.replaceAll(/^(dev\/\S+ f) (666|755)/gm, "$1 any"),
  },
  {
    sections: /^\d+ ps$/,
    why: "writes a list without processes as one",
    level: (text) => text.replace(/^null$/m, "[]"),
  },
  {
    sections: /: (mounts|groups)$/,
    why: "shows the container its group of version 2 as well, where there are both versions",
    level: (text) => text.replaceAll(/^\/sys\/fs\/cgroup\/unified.*\n?/gm, ""),
  },
  {
    sections: /^hooks$/,
    why: "runs poststop hooks in the bundle, and says at poststart that the container runs",
    level: (text) =>
      text.replaceAll(/^poststop in .*/gm, "").replaceAll(
        /^(hook poststart(?: again)?\n(?:(?!hook )[^])*?"status": )"created"/gm,
        '$1"running"',
      ),
  },
  {
    sections: /: status$/,
    why: "the Go runtime ignores",
    level: (text) => text.replaceAll("SigIgn:\t0000000080000004", "SigIgn:\t0000000000000004"),
  },
];

/** @returns Lines that only one of the two has, `-` ours and `+` theirs, under the names of their sections. */
export function compare(ours: Sections, theirs: Sections): string[] {
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  return names.flatMap((name) => {
    const [mine, other] = [ours[name], theirs[name]].map((text) => text && level(name, text));
    if (mine === other) return [];
    if (mine === undefined || other === undefined) return [`${mine === undefined ? "+" : "-"} ${name}: …`];
    const [left, right] = [mine.split("\n"), other.split("\n")];
    const lines = [
      ...without(left, right).map((line) => `- ${line}`),
      ...without(right, left).map((line) => `+ ${line}`),
    ];
    return [`${name}:`, ...lines.length > 0 ? lines : ["the same lines in another order"]];
  });
}

function level(name: string, text: string): string {
  return DIFFERENCES.filter(({ sections }) => sections.test(name)).reduce((text, { level }) => level(text), text)
    .trim();
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const rest = [...others];
  return lines.filter((line) => {
    const index = rest.indexOf(line);
    if (index >= 0) rest.splice(index, 1);
    return index < 0;
  });
}
