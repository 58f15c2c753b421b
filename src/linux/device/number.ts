/** Numbers of devices. Pure. @see https://man7.org/linux/man-pages/man3/makedev.3.html @module */

/** Splits a `dev_t` of the C library. */
export function splitDevice(device: number | bigint): { major: number; minor: number } {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** Makes a `dev_t` of the C library, as mknod(2) takes it. */
export function joinDevice({ major, minor }: { major: number; minor: number }): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}
