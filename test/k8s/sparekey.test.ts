/** That the manifests of sparekey fit each other, its config and its image, in each overlay. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IHorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import type { IPriorityClass } from "kubernetes-models/scheduling.k8s.io/v1/PriorityClass";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { INamespace } from "kubernetes-models/v1/Namespace";
import type { ISecret } from "kubernetes-models/v1/Secret";
import type { IService } from "kubernetes-models/v1/Service";
import type { IServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import t, { type Test } from "tap";
import { parse } from "yaml";
import { checkCommand } from "../../src/commands/check.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Snapshot } from "../../src/core/snapshot.ts";
import { parseHtpasswd } from "../../src/login/htpasswd.ts";
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
} from "../support/manifests.ts";
import { skipFileWithout } from "../support/programs.ts";
import { htpasswdOf } from "../support/sparekey.ts";

skipFileWithout(t, "kubectl");

type Labels = Readonly<Record<string, string>>;

const SECRET_FOLDER = "/etc/sparekey/secret";
/** How long a drained process may be held by a file system that hangs, and by a stdout that takes nothing more. */
const HELD_SECONDS = 12 + 1;
/** docs/decisions/0007-memory.md: after full load, and reading a config on top of it. */
const READING_BYTES = 50e6;
const BUSY_BYTES = 97e6 + READING_BYTES;
/** docs/scaling.md: with thousands of connections, whatever they hold. */
const CROWDED_BYTES = 150e6 + READING_BYTES;
/** docs/scaling.md: what a head takes that is held, beside its bytes. */
const HEAD_OVERHEAD = 1.5;

const PORTS = { authentik: 9000, "bot-block": 8080, admin: 9090 };

/** The example config an overlay follows, and the ports it opens, by name. */
const OVERLAYS: Readonly<Record<string, readonly (keyof typeof PORTS)[]>> = {
  authentik: ["admin", "authentik"],
  "bot-block": ["admin", "bot-block"],
  both: ["admin", "authentik", "bot-block"],
};

interface Overlay {
  readonly name: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly manifests: readonly Manifest[];
  readonly config: string;
}

const read = (file: string): string => readFileSync(join(K8S, file), "utf8");

const overlays: readonly Overlay[] = await Promise.all(
  Object.entries(OVERLAYS).map(async ([name, ports]) => {
    const manifests = await build(join(K8S, "overlays", name));
    const config = only<IConfigMap>(manifests, "ConfigMap", "sparekey-config").data?.["sparekey.yaml"];
    if (config === undefined) throw new Error(`overlay ${name} has no config`);
    return { name, manifests, config, ports: Object.fromEntries(ports.map((port) => [port, PORTS[port]])) };
  }),
);
const [example] = manifestsOf(read("base/htpasswd-secret.example.yaml")) as unknown as readonly ISecret[];

function partsOf({ manifests }: Overlay) {
  const deployment = given(only<IDeployment>(manifests, "Deployment", "sparekey").spec);
  const pod = given(deployment.template.spec);
  const labels: Labels = given(deployment.template.metadata?.labels);
  const [container, ...others] = pod.containers;
  if (others.length > 0) throw new Error("one container is known here");
  return { deployment, pod, labels, container: given(container) };
}

/** The overlay's config with files of `folder` in place of the Secret's. */
async function configured(t: Test, overlay: Overlay, files: Readonly<Record<string, string>> = {}) {
  const folder = t.testdirName;
  t.testdir({ ...files, "sparekey.yaml": overlay.config.replaceAll(SECRET_FOLDER, folder) });
  return { folder, file: join(folder, "sparekey.yaml") };
}

async function snapshotOf(t: Test, overlay: Overlay): Promise<Snapshot> {
  const loaded = await loadConfig((await configured(t, overlay)).file, {});
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  return loaded.snapshot;
}

async function check(t: Test, overlay: Overlay, files?: Readonly<Record<string, string>>) {
  const { file, folder } = await configured(t, overlay, files);
  const texts: string[] = [];
  const io = { out: (text: string) => texts.push(text), err: (text: string) => t.fail(text), env: {} };
  const code = await checkCommand(file, io);
  return { code, text: texts.join("").replaceAll(`${folder}/`, "") };
}

for (const overlay of overlays) {
  const { name, manifests, ports } = overlay;

  t.test(`${name}: sparekey check finds nothing, and says when the Secret is missing`, async (t) => {
    const good = await check(t, overlay, { htpasswd: htpasswdOf({ alice: "correct horse" }) });
    t.equal(good.code, 0, good.text);
    t.match(good.text, /^sparekey\.yaml: \d routes?, no problems\n$/);
    const missing = await check(t, overlay);
    if (ports.authentik === undefined) {
      t.equal(missing.code, 0, missing.text);
      return;
    }
    t.equal(missing.code, 1);
    t.match(
      missing.text,
      /^sparekey\.yaml:\d+:\d+ routes\[0\]\.fallback\.htpasswd: file \S+ .*it does not exist/,
    );
    t.equal(missing.text.trimEnd().split("\n").length, 1, missing.text);
  });

  t.test(`${name}: its routes are those of the example config`, async (t) => {
    const written = parse(readFileSync(join(K8S, `../config/${name}.yaml`), "utf8"));
    const { routes } = parse(overlay.config.replaceAll(`${SECRET_FOLDER}/`, "/etc/sparekey/"));
    const listens = (route: object) => ({ listen: written.listen ?? `0.0.0.0:${PORTS.authentik}`, ...route });
    t.same(routes, written.routes.map(listens));
  });

  t.test(`${name}: ports of config, container, Service and NetworkPolicy agree`, async (t) => {
    const { admin, routes } = await snapshotOf(t, overlay);
    const { container } = partsOf(overlay);
    for (const { name, listen } of routes) {
      t.equal(listen.host, "0.0.0.0");
      t.equal(listen.port, ports[name === "authentik-login" ? "authentik" : name], name);
    }
    t.same(admin.listen, { host: "0.0.0.0", port: ports.admin });
    const opened = given(container.ports).map((port) => [port.name, port.containerPort]);
    t.same(Object.fromEntries(opened), ports);
    const served = given(only<IService>(manifests, "Service", "sparekey").spec?.ports);
    t.same(Object.fromEntries(served.map(({ name, port }) => [name, port])), ports);
    for (const { name, targetPort } of served) t.equal(targetPort, name);
    const { ingress } = given(only<INetworkPolicy>(manifests, "NetworkPolicy", "sparekey").spec);
    const admitted = given(ingress).map(({ from, ports }) => [
      ports?.map(({ port }) => port),
      from?.map(({ namespaceSelector }) => namespaceSelector?.matchLabels?.["kubernetes.io/metadata.name"]),
    ]);
    const from = (port: string) => (port === "admin" ? "monitoring" : "traefik");
    t.same(distinct(admitted), distinct(Object.keys(ports).map((port) => [[port], [from(port)]])));
  });

  t.test(`${name}: its upstreams and DNS are let out, and nothing else`, async (t) => {
    const { routes } = await snapshotOf(t, overlay);
    const { egress, policyTypes } = given(only<INetworkPolicy>(manifests, "NetworkPolicy", "sparekey").spec);
    t.same(policyTypes, ["Ingress", "Egress"]);
    const rules = given(egress).map(({ to, ports }) => ({
      namespaces: given(to).map(
        (peer) => peer.namespaceSelector?.matchLabels?.["kubernetes.io/metadata.name"],
      ),
      ports: given(ports).map(({ port }) => port),
    }));
    const wanted = routes.flatMap(({ upstream }) =>
      upstream.servers.map(({ host, port }) => {
        const [, namespace] = given(/^[a-z-]+\.([a-z-]+)\.svc\.cluster\.local$/.exec(host), host);
        return { namespaces: [namespace], ports: [port] };
      }),
    );
    const dns = { namespaces: ["kube-system", undefined], ports: [53, 53] };
    t.same(distinct(rules), distinct([dns, ...wanted]));
  });

  t.test(`${name}: every selector finds the pods`, async (t) => {
    const { deployment, pod, labels } = partsOf(overlay);
    const spread = given(pod.topologySpreadConstraints);
    const apart = given(pod.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution);
    const budget = given(only<IPodDisruptionBudget>(manifests, "PodDisruptionBudget", "sparekey").spec);
    const policy = given(only<INetworkPolicy>(manifests, "NetworkPolicy", "sparekey").spec);
    const selectors = {
      Deployment: deployment.selector.matchLabels,
      Service: only<IService>(manifests, "Service", "sparekey").spec?.selector,
      PodDisruptionBudget: budget.selector?.matchLabels,
      NetworkPolicy: given(policy.podSelector).matchLabels,
      spread: spread[0]?.labelSelector?.matchLabels,
      apart: apart[0]?.podAffinityTerm.labelSelector?.matchLabels,
    };
    for (const [whose, selector] of Object.entries(selectors)) {
      const wanted: Labels = given(selector, whose);
      t.ok(Object.keys(wanted).length > 0, `${whose} selects by something`);
      t.match(labels, wanted, whose);
    }
    t.equal(spread[0]?.topologyKey, "kubernetes.io/hostname");
    t.equal(spread.length, 1);
  });

  t.test(`${name}: an update or a drained node never leaves less than it should`, async (t) => {
    const { deployment } = partsOf(overlay);
    t.same(deployment.strategy?.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
    const hpa = only<IHorizontalPodAutoscaler>(manifests, "HorizontalPodAutoscaler", "sparekey");
    const { scaleTargetRef, minReplicas, maxReplicas } = given(hpa.spec);
    t.same(scaleTargetRef, { apiVersion: "apps/v1", kind: "Deployment", name: "sparekey" });
    t.same([deployment.replicas, minReplicas, maxReplicas], [2, 2, 6]);
    const budget = given(only<IPodDisruptionBudget>(manifests, "PodDisruptionBudget", "sparekey").spec);
    t.equal(budget.maxUnavailable, 1, "a node can be drained, and one replica stays");
    t.equal(budget.minAvailable, undefined);
  });

  t.test(`${name}: the drain fits the time that Kubernetes gives`, async (t) => {
    const { drain } = await snapshotOf(t, overlay);
    const { pod, container } = partsOf(overlay);
    const grace = given(pod.terminationGracePeriodSeconds);
    t.ok((drain.delay + drain.timeout) / 1000 + HELD_SECONDS <= grace, `within ${grace} s`);
    t.ok(drain.delay >= 5_000, "Services need some seconds to notice");
    t.equal(container.lifecycle, undefined, "there is no shell for a preStop, and no need");
  });

  t.test(`${name}: the config and the Secret are mounted where they are read`, async (t) => {
    const { pod, container } = partsOf(overlay);
    const mounts = Object.fromEntries(
      given(container.volumeMounts).map(({ name, mountPath, readOnly, ...rest }) => {
        t.same([readOnly, rest], [true, {}], `${name} is a folder, to be read`);
        return [mountPath, pod.volumes?.find((volume) => volume.name === name)];
      }),
    );
    t.same(container.args, ["run", "--config", "/etc/sparekey/config/sparekey.yaml"]);
    t.equal(mounts["/etc/sparekey/config"]?.configMap?.name, "sparekey-config");
    const secret = mounts[SECRET_FOLDER]?.secret;
    t.equal(secret?.secretName, example?.metadata?.name);
    t.equal(secret?.optional, true, "it starts without");
    t.equal(secret?.defaultMode, 0o440);
    t.equal(pod.securityContext?.fsGroup, pod.securityContext?.runAsUser, "the one who may read it");
    const named = [...overlay.config.matchAll(/^ *htpasswd: (\S+)$/gm)].map(([, file]) => file);
    t.same(named, ports.authentik ? [`${SECRET_FOLDER}/${Object.keys(given(example?.stringData))[0]}`] : []);
    t.equal(
      manifests.find(({ kind }) => kind === "Secret"),
      undefined,
      "no apply overwrites the passwords",
    );
  });

  t.test(`${name}: it runs under the restricted profile, without a token`, async (t) => {
    const { pod, container } = partsOf(overlay);
    t.match(only<INamespace>(manifests, "Namespace", "sparekey").metadata?.labels, {
      "pod-security.kubernetes.io/enforce": "restricted",
    });
    t.match(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    t.ok(Number(pod.securityContext?.runAsUser) > 0);
    t.same(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    t.same([pod.hostNetwork, pod.hostPID, pod.hostIPC], [undefined, undefined, undefined]);
    const account = only<IServiceAccount>(manifests, "ServiceAccount", given(pod.serviceAccountName));
    t.same([pod.automountServiceAccountToken, account.automountServiceAccountToken], [false, false]);
  });

  t.test(
    `${name}: memory for the worst, processor time without a limit, priority above others`,
    async (t) => {
      const { pod, container } = partsOf(overlay);
      const { requests, limits } = given(container.resources);
      const { limits: own, routes } = await snapshotOf(t, overlay);
      const listeners = new Set(routes.map(({ listen }) => listen.port)).size;
      const heads = listeners * own.connections * own.headBytes * HEAD_OVERHEAD;
      t.ok(
        quantity(limits?.memory) >= CROWDED_BYTES + heads,
        "every connection holds a head of the largest size",
      );
      t.ok(quantity(requests?.memory) >= BUSY_BYTES);
      t.ok(quantity(requests?.memory) <= quantity(limits?.memory));
      t.equal(limits?.cpu, undefined);
      t.ok(quantity(requests?.cpu) > 0);
      const priority = only<IPriorityClass>(manifests, "PriorityClass", given(pod.priorityClassName));
      t.equal(priority.globalDefault, false);
    },
  );

  t.test(`${name}: the image has the version of this package`, async (t) => {
    const { version } = JSON.parse(readFileSync(join(K8S, "../package.json"), "utf8"));
    t.match(partsOf(overlay).container.image, new RegExp(`^registry\\.example\\.com/sparekey:${version}$`));
  });
}

t.test("probes ask what answers them", async (t) => {
  const served = await serve(t, offline(given(overlays[2]).config));
  const { host, port } = served.app.admin;
  for (const overlay of overlays) {
    const { startupProbe, livenessProbe, readinessProbe } = partsOf(overlay).container;
    for (const [name, probe] of Object.entries({ startupProbe, livenessProbe, readinessProbe })) {
      t.equal(probe?.httpGet?.port, "admin", `${overlay.name} ${name}`);
      const { status } = await ask(`http://${host}:${port}${probe?.httpGet?.path}`);
      t.equal(status, 200, `${overlay.name} ${name}`);
    }
    t.equal(readinessProbe?.httpGet?.path, "/readyz");
    t.equal(livenessProbe?.httpGet?.path, "/healthz", "a drain must not look like a hang");
  }
});

t.test("the example Secret lets nobody in", async (t) => {
  const text = given(Object.values(given(example?.stringData))[0]);
  t.same([parseHtpasswd(text).users.size, parseHtpasswd(text).problems], [0, []]);
  const folder = t.testdir({ htpasswd: text });
  const served = await serve(t, offline(given(overlays[0]).config.replaceAll(SECRET_FOLDER, folder)));
  const url = `${served.urls[0]}/outpost.goauthentik.io/auth/traefik`;
  const headers = { Authorization: basic("NAME", "NAME") };
  t.equal((await ask(url, { headers })).status, 503);
  t.equal((await ask(url)).status, 503);
});

function distinct(values: readonly unknown[]): ReadonlySet<string> {
  return new Set(values.map((value) => JSON.stringify(value)));
}
