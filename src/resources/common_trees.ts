/**
 * Trees that several containers of a sandbox have: each is shown to the guest once, so that there it is one file system.
 * Locks, sockets and fifos are the guest's own, and by two file systems its containers would not meet in them.
 *
 * @module
 */
/** Something in the shared directory. Disposing it takes it away from the guest. */
export interface SharedTree extends Disposable {
  readonly guestPath: string;
}

interface Common {
  shown: SharedTree;
  users: number;
}

/** Trees that are shown, by what tells them apart. */
export class CommonTrees {
  readonly #all = new Map<string, Common>();
  #count = 0;

  /** @param keys Of trees that will do, the best one first. @returns One more use of the first that is shown. */
  find(keys: readonly string[]): SharedTree | undefined {
    const key = keys.find((one) => this.#all.has(one));
    return key === undefined ? undefined : this.#use(key);
  }

  /** Shows a tree for the first time. @param show Gets a number that no other tree has. @returns Its first use. */
  add(key: string, show: (number: number) => SharedTree): SharedTree {
    this.#all.set(key, { shown: show(this.#count++), users: 0 });
    return this.#use(key);
  }

  /** @returns What the last of its users takes away from the guest. */
  #use(key: string): SharedTree {
    const common = this.#all.get(key)!;
    common.users += 1;
    using undo = new DisposableStack();
    undo.defer(() => {
      common.users -= 1;
      if (common.users > 0) return;
      this.#all.delete(key);
      common.shown[Symbol.dispose]();
    });
    const use = undo.move();
    return { guestPath: common.shown.guestPath, [Symbol.dispose]: () => use.dispose() };
  }
}
