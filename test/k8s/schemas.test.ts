/** Every manifest as its API knows it: no wrong type, no missing field, no field that nobody reads. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import {
  build,
  K8S,
  type Manifest,
  manifestsOf,
  nameOf,
  schemaProblems,
  unknownFields,
} from "../support/manifests.ts";
import { skipFileWithout } from "../support/programs.ts";

skipFileWithout(t, "kubectl");

const read = (file: string): string => readFileSync(join(K8S, file), "utf8");

/** What `kubectl kustomize` is run on, by name. */
const BUILDS = {
  "all for a cluster": ".",
  authentik: "overlays/authentik",
  "bot-block": "overlays/bot-block",
  both: "overlays/both",
};

/** Manifests that an operator applies by hand. */
const EXAMPLES = ["base/htpasswd-secret.example.yaml", "traefik/ingress-routes.example.yaml"];

const NAMESPACED = new Set([
  "ConfigMap",
  "Deployment",
  "HorizontalPodAutoscaler",
  "IngressRoute",
  "LimitRange",
  "Middleware",
  "NetworkPolicy",
  "PodDisruptionBudget",
  "PrometheusRule",
  "Secret",
  "Service",
  "ServiceAccount",
  "ServiceMonitor",
]);
const CLUSTER_WIDE = new Set(["Namespace", "PriorityClass"]);

const built = await Promise.all(
  Object.entries(BUILDS).map(async ([name, folder]) => ({
    name,
    manifests: await build(join(K8S, folder)),
  })),
);
const examples = EXAMPLES.map((file) => ({ name: file, manifests: manifestsOf(read(file)) }));
const all = [...built, ...examples];

t.test("each manifest fits the schema of its API", async (t) => {
  for (const { name, manifests } of all) {
    const problems = await Promise.all(manifests.map(schemaProblems));
    t.same(problems.flat(), [], name);
    t.ok(manifests.length > 0, name);
  }
});

t.test("no field is unknown to its API", async (t) => {
  const each = new Map(all.flatMap(({ manifests }) => manifests).map((one) => [JSON.stringify(one), one]));
  t.same(await unknownFields(t.testdir(), [...each.values()]), []);
});

t.test("what does not fit is found", async (t) => {
  const manifest = (json: object): Manifest =>
    ({ metadata: { name: "x", namespace: "x" }, ...json }) as unknown as Manifest;
  const unknown = {
    "at the top": manifest({ apiVersion: "v1", kind: "ServiceAccount", automountToken: false }),
    "in metadata": manifest({ apiVersion: "v1", kind: "Namespace", metadata: { name: "x", label: {} } }),
    "deep inside": manifest({
      apiVersion: "apps/v1",
      kind: "Deployment",
      spec: {
        selector: {},
        template: { spec: { containers: [{ name: "x", readinessProbes: { httpGet: { port: 1 } } }] } },
      },
    }),
    "of a Middleware": manifest({
      apiVersion: "traefik.io/v1alpha1",
      kind: "Middleware",
      spec: { forwardAuth: { address: "http://x", maxResponseBodySizes: 1 } },
    }),
    "of a PrometheusRule": manifest({
      apiVersion: "monitoring.coreos.com/v1",
      kind: "PrometheusRule",
      spec: { groups: [{ name: "x", rules: [{ alert: "x", expr: "x", severity: "x" }] }] },
    }),
  };
  const found = await unknownFields(t.testdir(), Object.values(unknown));
  const told = ["automountToken", "label", "readinessProbes", "maxResponseBodySizes", "severity"];
  t.equal(found.length, told.length, found.join("\n"));
  told.forEach((field, index) => {
    t.match(found[index], `"${field}"`, Object.keys(unknown)[index] ?? "");
  });
  const wrong = {
    type: manifest({ apiVersion: "v1", kind: "Service", spec: { ports: [{ port: "9000" }] } }),
    missing: manifest({ apiVersion: "apps/v1", kind: "Deployment", spec: { replicas: 2 } }),
    value: manifest({
      apiVersion: "traefik.io/v1alpha1",
      kind: "Middleware",
      spec: { retry: { attempts: -1 } },
    }),
  };
  for (const [name, one] of Object.entries(wrong)) t.equal((await schemaProblems(one)).length, 1, name);
});

t.test("one apply is enough", async (t) => {
  for (const { name, manifests } of built) {
    t.equal(manifests[0]?.kind, "Namespace", `${name}: the namespace comes before what is in it`);
    const names = manifests.map(nameOf);
    t.same(names, [...new Set(names)], `${name}: nothing is there twice`);
  }
});

t.test("everything is in a namespace of its own choice", async (t) => {
  for (const { name, manifests } of all)
    for (const manifest of manifests) {
      const { kind, metadata } = manifest;
      t.ok(NAMESPACED.has(kind) || CLUSTER_WIDE.has(kind), `${name}: ${kind} is known here`);
      t.equal(metadata.namespace !== undefined, NAMESPACED.has(kind), `${name}: ${nameOf(manifest)}`);
    }
});
