/** docker-compose.yaml and the files it mounts: read by Compose itself, then held against each other. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { finished, start } from "../support/processes.ts";
import { skipFileWithout } from "../support/programs.ts";

skipFileWithout(t, "docker-compose", "git");

const ROOT = join(import.meta.dirname, "../..");

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly networks: Readonly<Record<string, unknown>>;
  readonly ports?: readonly unknown[];
  readonly volumes?: readonly { type: string; source: string; target: string; read_only?: boolean }[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string | number;
  readonly pids_limit?: number;
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly logging?: { readonly driver?: string; readonly options?: Readonly<Record<string, string>> };
}

interface Composition {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
}

const read = (file: string): Promise<string> => readFile(join(ROOT, file), "utf8");

/** As Compose understands it: checked by its schema, references resolved, paths made absolute. */
const composed = await finished(
  start(t, "docker-compose", ["-f", join(ROOT, "docker-compose.yaml"), "config"], { cwd: ROOT }),
);
const { services = {}, networks = {} } = parse(composed.stdout) as Partial<Composition>;
const dynamic = parse(await read("compose/traefik/dynamic.yaml")).http;

t.test("Compose takes it, and says nothing against it", async (t) => {
  t.same({ code: composed.code, stderr: composed.stderr }, { code: 0, stderr: "" });
  t.same(Object.keys(services).sort(), ["app", "sparekey", "traefik"]);
});

t.test("each service can do no more than it must", async (t) => {
  for (const [name, service] of Object.entries(services)) {
    t.match(service, { read_only: true, cap_drop: ["ALL"], restart: "unless-stopped" }, name);
    t.ok(service.security_opt?.includes("no-new-privileges:true"), name);
    t.ok(service.mem_limit && service.pids_limit, `${name} is bounded`);
    t.match(
      service.logging,
      { driver: "local", options: { "max-size": /^\d+m$/, "max-file": /^\d$/ } },
      name,
    );
    // The image has a user of its own.
    if (name !== "sparekey") t.match(service.user, /^[1-9]\d*:[1-9]\d*$/, name);
    for (const { type, source, read_only } of service.volumes ?? []) {
      t.same({ type, read_only }, { type: "bind", read_only: true }, source);
      t.ok((await stat(source)).isDirectory(), `${source}: a file that is replaced would not be seen`);
    }
  }
});

t.test("Traefik alone can be reached, from this machine; no app can reach sparekey", async (t) => {
  const published = Object.entries(services).filter(([, { ports = [] }]) => ports.length > 0);
  t.same(
    published.map(([name]) => name),
    ["traefik"],
  );
  for (const port of published.flatMap(([, { ports = [] }]) => ports)) {
    t.match(JSON.stringify(port), "127.0.0.1");
  }
  const of = (name: string): readonly string[] => Object.keys(services[name]?.networks ?? {}).sort();
  t.same(
    { traefik: of("traefik"), sparekey: of("sparekey"), app: of("app") },
    {
      traefik: ["apps", "checks", "edge"],
      sparekey: ["checks"],
      app: ["apps"],
    },
  );
  for (const name of ["checks", "apps"]) t.equal(networks[name]?.internal, true, name);
});

t.test("Traefik asks sparekey as the README says, and knows who is where", async (t) => {
  const { address, trustForwardHeader, authResponseHeaders, maxResponseBodySize } =
    dynamic.middlewares.sparekey.forwardAuth;
  const readme = await read("README.md");
  const [, middleware = ""] =
    /\n(apiVersion: traefik\.io\/v1alpha1\nkind: Middleware\n[\s\S]*?)```/.exec(readme) ?? [];
  t.same(authResponseHeaders, parse(middleware).spec.forwardAuth.authResponseHeaders);
  t.equal(trustForwardHeader, false);
  const loaded = await loadConfig(join(ROOT, "compose/config/sparekey.yaml"), {});
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  const { routes, drain } = loaded.snapshot;
  const [check] = routes;
  t.equal(maxResponseBodySize, check?.upstream.answerBytes);
  t.equal(new URL(address).pathname, check?.path.kind === "exact" ? check.path.path : "");
  const ports: Readonly<Record<string, number>> = { sparekey: check?.listen.port ?? 0, app: portOf("app") };
  const asked: readonly string[] = [
    address,
    ...Object.values(dynamic.services).flatMap((service) =>
      (service as Balanced).loadBalancer.servers.map(({ url }) => url),
    ),
  ];
  for (const url of asked) {
    const { hostname, port } = new URL(url);
    t.equal(Number(port), ports[hostname], url);
  }
  for (const { service } of Object.values<{ service: string }>(dynamic.routers)) {
    t.ok(service in dynamic.services, service);
  }
  t.same(dynamic.routers.app.middlewares, ["sparekey"]);
  t.notOk(dynamic.routers.login.middlewares, "the login pages are not behind the login");
  const grace = /^(\d+)s$/.exec(services.sparekey?.stop_grace_period ?? "")?.[1];
  t.ok(Number(grace) > drain.timeout / 1000 + 12, "time to drain, and 12 s for files that hang");
});

t.test("sparekey runs as the version in package.json, with files from the folders", async (t) => {
  t.equal(services.sparekey?.image, `sparekey:${JSON.parse(await read("package.json")).version}`);
  const loaded = await loadConfig(join(ROOT, "compose/config/sparekey.yaml"), {});
  const fallback = loaded.ok ? loaded.snapshot.routes[0]?.fallback : undefined;
  t.match(fallback, { mode: "basic-auth", htpasswd: "/etc/sparekey/secret/htpasswd" });
  const mounts = services.sparekey?.volumes?.map(({ source, target }) => [source, target]);
  t.same(mounts, [
    [join(ROOT, "compose/config"), "/etc/sparekey/config"],
    [join(ROOT, "compose/secret"), "/etc/sparekey/secret"],
  ]);
  const ignored = await finished(
    start(t, "git", ["check-ignore", "compose/secret/htpasswd", "compose/secret/.gitkeep"], { cwd: ROOT }),
  );
  t.equal(ignored.stdout, "compose/secret/htpasswd\n", "no password is ever committed");
});

interface Balanced {
  readonly loadBalancer: { readonly servers: readonly { readonly url: string }[] };
}

function portOf(name: string): number {
  const written = services[name]?.command?.find((argument) => argument.startsWith("--port="));
  return Number(written?.slice("--port=".length));
}
