/** Groups the storages of a request that make one mount together. Pure. @module */
import type { Storage } from "../../proto/agent_pb.ts";
import { STORAGE_DRIVER, STORAGE_OPTION } from "../../agent_api/names.ts";
import type { StorageGroup } from "./handler.ts";

/**
 * Splits the storages of a request, in their order; the layers of an image are one group, at the place of the first one.
 * A group begins with the storage whose mount point counts: the writable layer, or the first one of an image without it.
 */
export function groupsOf(storages: readonly Storage[]): StorageGroup[] {
  const layers = storages.filter(isLayer);
  return storages.flatMap((storage) => {
    if (!isLayer(storage)) return [[storage] as const];
    return storage === layers[0] ? [upperFirst([storage, ...layers.slice(1)])] : [];
  });
}

/** The driver whose handler takes a group: layers name the one of their device. */
export function driverOf([first]: StorageGroup): string {
  return isLayer(first) ? STORAGE_DRIVER.multiLayerErofs : first.driver;
}

function isLayer({ driver, options }: Storage): boolean {
  return driver === STORAGE_DRIVER.multiLayerErofs || options.includes(STORAGE_OPTION.multiLayer);
}

function upperFirst(layers: StorageGroup): StorageGroup {
  const upper = layers.find(({ options }) => options.includes(STORAGE_OPTION.overlayUpper));
  return upper === undefined ? layers : [upper, ...layers.filter((layer) => layer !== upper)];
}
