/** Rows of the configuration: everything known of a key comes from its one row. @module */

/** Fields of every kind of row. `T` is the type of the key's value in the program. */
interface Row<T> {
  /** Whole sentences about what it does and when one wants it; not what the other fields say already. */
  doc: string;
  default: T;
  /** In the shipped files, where no default can be right. */
  shipped?: T;
  /** `planned`: the name is taken, so that a file may have it, but nothing reads it; setting it logs a warning. */
  status?: "planned";
  /** How a pod changes it. Without it, none can. */
  annotation?: Annotation;
  /** Other dotted names, older ones or those of Kata's other runtime. */
  renamedFrom?: readonly string[];
  /** Kata has no such key. */
  ours?: true;
}

export interface Annotation {
  /** After `io.katacontainers.config.`. One below `hypervisor.` needs a match in `enable_annotations`. */
  name: string;
  /** `append`: the pod's words come after the file's. Default: the pod's value replaces the file's. */
  apply?: "append";
  /** A lower bound that only pods have. */
  min?: number;
}

/** The bounds belong to the range. Without them any finite number is right. */
interface NumberRow extends Row<number> {
  /** `integer`: without a fraction. */
  type: "integer" | "number";
  unit?: "MiB" | "ms" | "s" | "vCPUs";
  min?: number;
  max?: number;
}

interface BooleanRow extends Row<boolean> {
  type: "boolean";
}

interface TextRow extends Row<string> {
  type: "text";
}

/** A list. In an annotation its elements are parted by semicolons. */
interface TextsRow extends Row<readonly string[]> {
  type: "texts";
}

/** One word of a few. */
interface ChoiceRow extends Row<string> {
  type: "choice";
  values: readonly string[];
  /** Refused as not supported yet: doing something else instead would be silently wrong. */
  plannedValues?: readonly string[];
  /** Other names of values. */
  renamedValues?: Readonly<Record<string, string>>;
}

export type Key = BooleanRow | NumberRow | TextRow | TextsRow | ChoiceRow;
export type Keys = Readonly<Record<string, Key>>;

/** Type of a key's value in the program. */
export type ValueOf<K extends Key> = K extends BooleanRow ? boolean
  : K extends NumberRow ? number
  : K extends ChoiceRow ? K["values"][number]
  : K extends TextsRow ? string[]
  : string;

/** Type of a table in the program: a property per key, never missing. */
export type ValuesOf<T extends Keys> = { -readonly [name in keyof T]: ValueOf<T[name]> };

/** The hypervisors, by the name of their tables. */
export type MonitorKind = "qemu";

/** A table of the file. */
export interface KeyTable<T extends Keys = Keys> {
  /** Dotted, as the file has it. */
  path: string;
  /** The one monitor that reads it; none: all do. */
  monitor?: MonitorKind;
  doc: string;
  keys: T;
}

/** Keeps the types of the rows as narrow as they are written, which is where the types of the values come from. */
export function table<const T extends Keys>(rows: KeyTable<T>): KeyTable<T> {
  return rows;
}
