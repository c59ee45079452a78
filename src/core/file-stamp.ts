type FileStats = Readonly<Record<"dev" | "ino" | "mtimeNs" | "ctimeNs" | "size", bigint>>;

/** Two stamps of a path are equal while it resolves to the same file, with the same content and rights. */
export function fileStamp({ dev, ino, mtimeNs, ctimeNs, size }: FileStats): string {
  return [dev, ino, mtimeNs, ctimeNs, size].join(" ");
}
