/** Reads data that may have any shape. */
export type Mapping = Readonly<Record<string, unknown>>;

export function isMapping(data: unknown): data is Mapping {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

export function asMapping(data: unknown): Mapping {
  return isMapping(data) ? data : {};
}

export function asList(data: unknown): readonly unknown[] {
  return Array.isArray(data) ? data : [];
}
