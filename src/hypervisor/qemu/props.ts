/**
 * QEMU's options as data. The command line and QMP take the same properties, so a device that is there from the
 * start and one that is plugged later come from the same function. Pure.
 *
 * @module
 */

/** Properties of one object. The first entry names its type; undefined entries do not exist. */
export interface Props {
  readonly [name: string]: string | number | boolean | undefined | Props;
}

/**
 * Properties as QEMU's command line takes them: `virtio-blk-pci,id=root,share-rw=off`. The type stands alone, tables
 * become dotted names, and a comma in a value is doubled.
 */
export function keyval(props: Props): string {
  const [type, ...rest] = entries(props, "");
  return [type?.[1] ?? "", ...rest.map(([name, value]) => `${name}=${value}`)].join(",");
}

/** Properties as QMP takes them: without undefined entries. */
export function jsonProps(props: Props): Record<string, unknown> {
  const present = Object.entries(props).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    present.map(([name, value]) => [name, typeof value === "object" ? jsonProps(value) : value]),
  );
}

function entries(props: Props, prefix: string): [string, string][] {
  return Object.entries(props).flatMap(([name, value]): [string, string][] => {
    if (value === undefined) return [];
    if (typeof value === "object") return entries(value, `${prefix}${name}.`);
    return [[`${prefix}${name}`, printed(value)]];
  });
}

function printed(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value).replaceAll(",", ",,");
}
