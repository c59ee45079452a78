/** What stands around sparekey: Traefik's Middlewares, and the settings of Traefik, Authentik and the bot blocker. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IIngressRoute } from "@kubernetes-models/traefik/traefik.io/v1alpha1/IngressRoute";
import type { IMiddleware } from "@kubernetes-models/traefik/traefik.io/v1alpha1/Middleware";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IPriorityClass } from "kubernetes-models/scheduling.k8s.io/v1/PriorityClass";
import type { ILimitRange } from "kubernetes-models/v1/LimitRange";
import type { IService } from "kubernetes-models/v1/Service";
import t, { type Test } from "tap";
import { parse } from "yaml";
import { presets } from "../../src/config/presets.ts";
import { identityHeaders } from "../../src/demo/outpost-identity.ts";
import { ask, basic, serve } from "../support/app.ts";
import {
  build,
  given,
  K8S,
  type Manifest,
  manifestsOf,
  offline,
  only,
  quantity,
  schemaProblems,
} from "../support/manifests.ts";
import { skipFileWithout } from "../support/programs.ts";

skipFileWithout(t, "kubectl");

const read = (file: string): string => readFileSync(join(K8S, file), "utf8");

const all = await build(K8S);
const service = given(only<IService>(all, "Service", "sparekey").spec);
const routes = manifestsOf(read("traefik/ingress-routes.example.yaml"));

const middleware = (name: string) => only<IMiddleware>(all, "Middleware", name);
const forwardAuth = (name: string) => given(middleware(name).spec.forwardAuth);
const LOGIN = forwardAuth("sparekey-authentik");
const BOTS = forwardAuth("sparekey-bot-block");

t.test(
  "the login's Middleware lists what the README does: every identity header, and Authorization",
  async (t) => {
    const readme = readFileSync(join(K8S, "../README.md"), "utf8");
    const [, block = ""] =
      /```yaml\n(apiVersion: traefik\.io\/v1alpha1\nkind: Middleware\n[\s\S]*?)```/.exec(readme) ?? [];
    const { address, trustForwardHeader, authResponseHeaders } = parse(block).spec.forwardAuth;
    t.match({ ...LOGIN }, { address, trustForwardHeader });
    t.same(LOGIN.authResponseHeaders, authResponseHeaders);
    const listed = new Set(given(LOGIN.authResponseHeaders).map((name) => name.toLowerCase()));
    const { usernameHeader, clearHeaders } = presets.authentik;
    const outpost = identityHeaders.filter((_, index) => index % 2 === 0);
    for (const name of [usernameHeader, ...clearHeaders, ...outpost, "X-Auth-Fallback", "Authorization"])
      t.ok(listed.has(name.toLowerCase()), name);
  },
);

t.test(
  "the blocker's Middleware lists the same, but leaves Authorization to the login behind it",
  async (t) => {
    const names = given(LOGIN.authResponseHeaders).filter((name) => name !== "Authorization");
    t.same(BOTS.authResponseHeaders, names);
    t.same(BOTS.authRequestHeaders, ["User-Agent"], "and gets no cookies");
  },
);

t.test("with the upstreams gone, each Middleware's address has the fallback of its route", async (t) => {
  const folder = t.testdir({ htpasswd: read("base/htpasswd-secret.example.yaml") });
  const config = read("overlays/both/sparekey.yaml").replaceAll("/etc/sparekey/secret", folder);
  const served = await serve(t, offline(config));
  const [logins, bots] = served.urls;
  const wanted = [
    { address: LOGIN.address, port: "authentik", url: logins, fallback: "basic-auth", status: 503 },
    { address: BOTS.address, port: "bot-block", url: bots, fallback: "allow", status: 200 },
  ];
  for (const { address, port, url, fallback, status } of wanted) {
    const asked = new URL(given(address));
    t.equal(asked.hostname, "sparekey.sparekey.svc.cluster.local");
    t.equal(Number(asked.port), service.ports?.find(({ name }) => name === port)?.port);
    const reply = await ask(`${url}${asked.pathname}`, { headers: { Authorization: basic("a", "b") } });
    t.match(reply, { status, headers: { "x-auth-fallback": fallback } }, port);
  }
});

t.test("a Middleware trusts nobody by accident and reads no more than sparekey sends", async (t) => {
  const { properties } = JSON.parse(readFileSync(join(K8S, "../config/schema.json"), "utf8"));
  const MIB = 1024 * 1024;
  t.equal(properties.limits.properties.answerBytes.default, "1MiB");
  for (const { trustForwardHeader, maxResponseBodySize } of [LOGIN, BOTS])
    t.same([trustForwardHeader, maxResponseBodySize], [false, MIB]);
});

t.test("the chain turns bots away, asks for the login, and repeats neither", async (t) => {
  const links = given(middleware("sparekey").spec.chain?.middlewares);
  t.same(links, [{ name: "sparekey-bot-block" }, { name: "sparekey-authentik" }, { name: "sparekey-retry" }]);
  for (const { name } of links) t.equal(middleware(name).metadata.namespace, "sparekey");
  t.same({ ...middleware("sparekey-retry").spec.retry }, { attempts: 2, initialInterval: "100ms" });
});

t.test("the example's rules: the app behind the chain, its login pages before any check", async (t) => {
  const rulesOf = (name: string) => only<IIngressRoute>(routes, "IngressRoute", name);
  const [app, login] = [rulesOf("app"), rulesOf("app-login")].map(({ spec }) => given(spec.routes[0]));
  t.same(app?.middlewares, [{ name: "sparekey", namespace: "sparekey" }]);
  t.same(login?.middlewares, [{ name: "sparekey-retry" }]);
  t.equal(rulesOf("app-login").metadata.namespace, "sparekey", "a Service is named in its own namespace");
  t.same(login?.services, [{ name: "sparekey", port: "authentik" }]);
  t.ok(service.ports?.some(({ name }) => name === "authentik"));
  const { routes: configured } = parse(read("overlays/both/sparekey.yaml"));
  const { path } = configured.find(({ name }: { name?: string }) => name === "authentik-login");
  t.equal(login?.match, `${app?.match} && PathPrefix(\`${path.slice(0, -1)}\`)`);
});

t.test("Traefik's values: one of three may go, and the settings that the manifests rely on", async (t) => {
  const values = parse(read("traefik/values.yaml"));
  t.equal(values.deployment.replicas, 3);
  t.same(values.podDisruptionBudget, { enabled: true, minAvailable: 2 });
  t.same(values.updateStrategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
  t.equal(values.providers.kubernetesCRD.allowCrossNamespace, true);
  t.same(await spreads(values.topologySpreadConstraints), []);
  const args: readonly string[] = values.additionalArguments;
  t.ok(args.includes("--serversTransport.forwardingTimeouts.responseHeaderTimeout=30s"));
  const entryPoints = routes.flatMap((route) => given((route as unknown as IIngressRoute).spec.entryPoints));
  for (const name of new Set(["web", ...entryPoints]))
    t.ok(args.includes(`--entryPoints.${name}.http.aliasHeadersStrategy=delete`), name);
});

t.test("Authentik's values: one of three may go", async (t) => {
  const { server } = parse(read("authentik/values.yaml"));
  t.equal(server.replicas, 3);
  t.same(server.pdb, { enabled: true, minAvailable: 2 });
  t.same(await spreads(server.topologySpreadConstraints), []);
});

t.test(
  "the outpost's patches give /dev/shm the room of the sum, and the container the memory for it",
  async (t) => {
    const text = read("authentik/outpost.yaml");
    const settings = parse(text);
    t.equal(settings.kubernetes_replicas, 1, "sessions are in the pod");
    const patched = await patch(t, outpost(), "ak-outpost", settings.kubernetes_json_patches.deployment);
    const pod = given(patched.spec?.template.spec);
    const container = given(pod.containers[0]);
    t.same(container.volumeMounts, [{ name: "shm", mountPath: "/dev/shm" }]);
    const [shm] = given(pod.volumes);
    t.match(shm, { name: "shm", emptyDir: { medium: "Memory" } });
    const room = quantity(shm?.emptyDir?.sizeLimit);
    const [, rate = "", minutes = "", files = ""] = /(\d+) x ([\d,]+) = ([\d,]+) files/.exec(text) ?? [];
    const number = (written: string) => Number(written.replaceAll(",", ""));
    t.equal(number(rate) * number(minutes), number(files));
    t.equal(number(minutes), 7 * 24 * 60);
    t.ok(room >= number(files) * 4096, "a page for each file");
    const { requests, limits } = given(container.resources);
    t.ok(
      quantity(limits?.memory) >= room * 1.25 + quantity("256Mi"),
      "what the kernel keeps for each file too",
    );
    for (const written of [shm?.emptyDir?.sizeLimit, limits?.memory, requests?.memory, requests?.cpu])
      t.match(written, /^(\d+m|(?!\d*(?:1024|2048|4096)Mi)\d+[MG]i)$/, "as Kubernetes writes it");
  },
);

t.test("the bot blocker gets the tier below the gateway's, and bounds", async (t) => {
  const patched = await patch(t, blocker(), "poison-fountain", read("poison-fountain/deployment-patch.yaml"));
  const name = given(patched.spec?.template.spec?.priorityClassName);
  const [cluster, core] = [name, "tier-0-core"].map((each) =>
    only<IPriorityClass>(all, "PriorityClass", each),
  );
  t.equal(name, "tier-1-cluster");
  t.ok(Number(cluster?.value) < Number(core?.value));
  const range = only<ILimitRange>(all, "LimitRange", "poison-fountain");
  t.equal(range.metadata?.namespace, "poison-fountain");
  const [limits] = given(range.spec?.limits);
  t.equal(limits?.type, "Container");
  t.ok(quantity(limits?.defaultRequest?.memory) <= quantity(limits?.default?.memory));
  t.ok(quantity(limits?.default?.memory) <= quantity(limits?.max?.memory));
});

/** What a pod's schema says of such constraints. */
function spreads(topologySpreadConstraints: unknown): Promise<readonly string[]> {
  const pod = { containers: [{ name: "x" }], topologySpreadConstraints };
  return schemaProblems(manifest("v1", "Pod", "x", { spec: pod }));
}

function manifest(apiVersion: string, kind: string, name: string, rest: object): Manifest {
  return { apiVersion, kind, metadata: { name, namespace: "x" }, ...rest };
}

function deployment(name: string, container: object): Manifest {
  const matchLabels = { app: name };
  const template = { metadata: { labels: matchLabels }, spec: { containers: [container] } };
  return manifest("apps/v1", "Deployment", name, { spec: { selector: { matchLabels }, template } });
}

/** As Authentik generates it, as far as the patches reach: no volumes, mounts or resources. */
function outpost(): Manifest {
  return deployment("ak-outpost", { name: "proxy", image: "ghcr.io/goauthentik/proxy" });
}

function blocker(): Manifest {
  return deployment("poison-fountain", { name: "poison-fountain", image: "poison-fountain" });
}

/** Applied by kubectl, and valid. `patch`: RFC 6902 operations, or a strategic merge patch as text. */
async function patch(t: Test, target: Manifest, name: string, patch: object | string): Promise<IDeployment> {
  const inline =
    typeof patch === "string"
      ? `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: ${name}, namespace: x }\n${patch}`
      : JSON.stringify(patch);
  const kustomization = {
    resources: ["deployment.yaml"],
    patches: [{ target: { kind: "Deployment", name }, patch: inline }],
  };
  const folder = t.testdir({
    "deployment.yaml": JSON.stringify(target),
    "kustomization.yaml": JSON.stringify(kustomization),
  });
  const built = await build(folder);
  t.same(await Promise.all(built.map(schemaProblems)), [[]]);
  return only<IDeployment>(built, "Deployment", name);
}
