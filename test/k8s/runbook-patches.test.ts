/** The patches that the runbooks have people apply in a hurry: by kubectl itself, on the manifests as they are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IIngressRoute } from "@kubernetes-models/traefik/traefik.io/v1alpha1/IngressRoute";
import type { IMiddleware } from "@kubernetes-models/traefik/traefik.io/v1alpha1/Middleware";
import type { IHorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import t, { type Test } from "tap";
import { parse } from "yaml";
import { build, given, K8S, type Manifest, manifestsOf, only, schemaProblems } from "../support/manifests.ts";
import { finished, start } from "../support/processes.ts";
import { skipFileWithout } from "../support/programs.ts";

skipFileWithout(t, "kubectl");

const KINDS: Readonly<Record<string, string>> = {
  "middlewares.traefik.io": "Middleware",
  "ingressroutes.traefik.io": "IngressRoute",
  horizontalpodautoscalers: "HorizontalPodAutoscaler",
};
const PATCH = /^kubectl --namespace sparekey patch (\S+) (\S+) ((?:--type \w+ )?--patch) '(.+)'$/gm;

const read = (file: string): string => readFileSync(join(K8S, file), "utf8");

const all = [...(await build(K8S)), ...manifestsOf(read("traefik/ingress-routes.example.yaml"))];
const { routes } = parse(read("overlays/both/sparekey.yaml"));
const upstreamOf = (preset: string): URL =>
  new URL(routes.find((route: { preset?: string }) => route.preset === preset).upstream);

/** What becomes of each manifest that a patch of `page` is for. */
async function patched(t: Test, page: string): Promise<readonly Manifest[]> {
  const patches = [...readFileSync(join(K8S, "../docs", page), "utf8").matchAll(PATCH)];
  return Promise.all(
    patches.map(async ([command, resource = "", name = "", options = "", patch = ""]) => {
      const input = JSON.stringify(only(all, given(KINDS[resource], resource), name));
      const args = ["patch", "--local", "--filename", "-", "--output", "json", ...options.split(" "), patch];
      const { code, stdout, stderr } = await finished(start(t, "kubectl", args, { input }));
      t.equal(code, 0, `${command} ${stderr}`);
      const manifest = JSON.parse(stdout);
      t.same(await schemaProblems(manifest), [], command);
      return manifest;
    }),
  );
}

t.test("without sparekey, Traefik asks the same upstreams for the same", async (t) => {
  const manifests = await patched(t, "operations.md");
  t.equal(manifests.length, 4);
  for (const [name, preset] of [
    ["sparekey-authentik", "authentik"],
    ["sparekey-bot-block", "bot-block"],
  ] as const) {
    const before = only<IMiddleware>(all, "Middleware", name).spec.forwardAuth;
    const { pathname } = new URL(given(before?.address));
    const address = new URL(pathname, upstreamOf(preset)).href;
    const { forwardAuth } = only<IMiddleware>(manifests, "Middleware", name).spec;
    t.same({ ...forwardAuth }, { ...before, address }, name);
  }

  const [rule] = only<IIngressRoute>(manifests, "IngressRoute", "app-login").spec.routes;
  const [before] = only<IIngressRoute>(all, "IngressRoute", "app-login").spec.routes;
  const [name, namespace] = upstreamOf("authentik").hostname.split(".");
  const services = [{ name, namespace, port: Number(upstreamOf("authentik").port) }];
  t.same({ ...rule }, { ...before, services });

  const links = (from: readonly Manifest[]) =>
    given(only<IMiddleware>(from, "Middleware", "sparekey").spec.chain?.middlewares);
  t.same(
    links(manifests),
    links(all).filter(({ name }) => name !== "sparekey-bot-block"),
    "the chain as it was, but for the bot blocker",
  );
});

t.test("more replicas: the least the autoscaler keeps", async (t) => {
  const [manifest, ...others] = await patched(t, "scaling.md");
  t.same(others, []);
  const { minReplicas, ...rest } = given((manifest as unknown as IHorizontalPodAutoscaler).spec);
  const before = given(only<IHorizontalPodAutoscaler>(all, "HorizontalPodAutoscaler", "sparekey").spec);
  t.ok(given(minReplicas) > given(before.minReplicas));
  t.ok(given(minReplicas) <= before.maxReplicas);
  t.same({ ...rest, minReplicas: before.minReplicas }, { ...before });
});
