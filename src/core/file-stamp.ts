/** What `stat` tells of a file, in whole numbers of any size. */
export interface FileStats {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly size: bigint;
}

/** Equal as long as a path resolves to the same file and nobody has written to it or changed its rights. */
export function fileStamp({ dev, ino, mtimeNs, ctimeNs, size }: FileStats): string {
  return [dev, ino, mtimeNs, ctimeNs, size].join(" ");
}
