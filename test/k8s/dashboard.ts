/** The dashboard's queries, as Grafana sends them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MONITORING } from "./rule-file.ts";

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export async function readDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(join(MONITORING, "dashboard.json"), "utf8"));
}

export interface Query {
  readonly name: string;
  readonly expr: string;
}

export function dashboardQueries({ panels, annotations }: Dashboard): readonly Query[] {
  const ofPanels = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr }) => ({ name: `${title}, ${refId}`, expr })),
  );
  const ofAnnotations = annotations.list.flatMap(({ name, expr }) =>
    expr === undefined ? [] : [{ name: `annotation ${name}`, expr }],
  );
  return [...ofPanels, ...ofAnnotations];
}
