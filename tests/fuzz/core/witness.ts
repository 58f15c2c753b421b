/** Guards all that no input may touch: a tree beside the scratch directory, and the prototypes of all objects. @module */

const PROTOTYPES: readonly object[] = [
  Object.prototype,
  Array.prototype,
  Function.prototype,
  String.prototype,
  Number.prototype,
  Boolean.prototype,
  RegExp.prototype,
  Map.prototype,
  Set.prototype,
  Promise.prototype,
  Uint8Array.prototype,
  Object,
  Array,
  JSON,
];

/** Plants the tree that inputs aim at with `..` and links. */
export function plantWitness(directory: string): void {
  Deno.mkdirSync(`${directory}/deep/er`, { recursive: true });
  for (const [name, text] of [["file", "witness"], ["deep/file", "more"], ["deep/er/empty", ""]] as const) {
    Deno.writeTextFileSync(`${directory}/${name}`, text);
    Deno.chmodSync(`${directory}/${name}`, 0o640);
  }
  Deno.symlinkSync("file", `${directory}/link`);
  Deno.symlinkSync("/dev/null", `${directory}/device`);
}

/** One line per entry: kind, mode, owner, number of links, size or target, and text. */
export function describeTree(directory: string): string {
  const lines: string[] = [];
  const visit = (path: string) => {
    const { mode, uid, gid, nlink, isFile, isSymlink, isDirectory } = Deno.lstatSync(path);
    const content = isSymlink ? Deno.readLinkSync(path) : isFile ? Deno.readTextFileSync(path) : "";
    lines.push([path.slice(directory.length), mode?.toString(8), uid, gid, nlink, content].join(" "));
    if (!isDirectory) return;
    for (const { name } of [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1)) {
      visit(`${path}/${name}`);
    }
  };
  visit(directory);
  return lines.join("\n");
}

/** A function that says what of the prototypes changed since now; undefined if nothing did. */
export function watchPrototypes(): () => string | undefined {
  const before = PROTOTYPES.map((object) => Reflect.ownKeys(object).length);
  const names = PROTOTYPES.map((object) => new Set(Reflect.ownKeys(object)));
  return () => {
    for (const [index, object] of PROTOTYPES.entries()) {
      const keys = Reflect.ownKeys(object);
      if (keys.length === before[index]) continue;
      const added = keys.filter((key) => !names[index]!.has(key));
      for (const key of added) Reflect.deleteProperty(object, key);
      return `prototype number ${index} has other keys than before: ${added.map(String).join(", ")}`;
    }
    return undefined;
  };
}
