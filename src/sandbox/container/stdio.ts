/** A process's standard streams as the host sees them; the shim makes them of fifos, files and logging programs. @module */

/** Where a process's input comes from. */
export interface InputStream extends Disposable {
  /** Waits for data. @returns Bytes put into `buffer`; 0 at the end of the input. */
  read(buffer: Uint8Array, options: { signal: AbortSignal }): Promise<number>;
  /** Ends the input once the bytes on their way have been read: nobody will write more (CloseIO). */
  finish(): void;
}

/** Where a process's output goes. Disposing it tells the reader that nothing follows. */
export interface OutputStream extends Disposable {
  /** Returns when all of `data` is taken, so that a slow reader slows the process. */
  write(data: Uint8Array, options: { signal: AbortSignal }): Promise<void>;
}

/** As the caller named the streams: paths or URIs, empty for one that is not wanted. */
export interface StdioNames {
  stdin: string;
  stdout: string;
  stderr: string;
}

/** A stream that nobody asked for is absent; with a terminal there is no stderr. */
export interface Stdio extends AsyncDisposable {
  readonly names: StdioNames;
  readonly stdin?: InputStream;
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
}
