import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { UpstreamTls } from "../core/snapshot.ts";
import { errorCode, type Finding, type Path } from "./problem.ts";

export type ReadFile = (file: string) => Promise<Uint8Array>;

/** The PEM files of one route, as paths that are resolved against the config's folder. */
type TlsFiles = Readonly<Record<"ca" | "cert" | "key", string | null>>;

export type TlsMaterial = Pick<UpstreamTls, keyof TlsFiles>;

/** Reads and tries the PEM files, so that a wrong one is found now and not by the first check. */
export async function readTlsFiles(
  files: TlsFiles,
  path: Path,
  readFile: ReadFile,
): Promise<{ readonly material: TlsMaterial; readonly findings: readonly Finding[] }> {
  const findings: Finding[] = [];
  const refuse = (key: string, message: string): null => {
    findings.push({ path: [...path, key], message });
    return null;
  };
  const read = async (key: keyof TlsFiles): Promise<Uint8Array | null> => {
    const file = files[key];
    if (file === null) return null;
    try {
      return await readFile(file);
    } catch (error) {
      return refuse(key, `{value} cannot be read (${errorCode(error)})`);
    }
  };
  const material = { ca: await read("ca"), cert: await read("cert"), key: await read("key") };
  if (material.ca !== null && certificates(material.ca) === null) refuse("ca", NO_CERTIFICATE);
  const [leaf] = (material.cert === null ? null : certificates(material.cert)) ?? [];
  if (material.cert !== null && leaf === undefined) refuse("cert", NO_CERTIFICATE);
  const key = material.key === null ? null : privateKey(material.key);
  if (material.key !== null && key === null) refuse("key", NO_KEY);
  if (leaf !== undefined && key !== null && !leaf.checkPrivateKey(key)) {
    refuse("key", "{value} is not the key of the certificate in cert");
  }
  if (findings.length === 0) findings.push(...tryContext(material, path));
  return { material, findings };
}

const NO_CERTIFICATE = "{value} holds no readable certificate; write a PEM file";
const NO_KEY = "{value} holds no readable private key; write a PEM file without a passphrase";

/** All certificates of a PEM file; null: there are none, or one is broken. */
function certificates(pem: Uint8Array): X509Certificate[] | null {
  const blocks = Buffer.from(pem)
    .toString("latin1")
    .match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  try {
    return blocks?.map((block) => new X509Certificate(block)) ?? null;
  } catch {
    return null;
  }
}

function privateKey(pem: Uint8Array): KeyObject | null {
  try {
    return createPrivateKey({ key: Buffer.from(pem), format: "pem" });
  } catch {
    return null;
  }
}

/** OpenSSL refuses more, such as keys that are too short for its security level. */
function tryContext({ ca, cert, key }: TlsMaterial, path: Path): Finding[] {
  try {
    createSecureContext({
      ...(ca !== null && { ca: Buffer.from(ca) }),
      ...(cert !== null && { cert: Buffer.from(cert) }),
      ...(key !== null && { key: Buffer.from(key) }),
    });
    return [];
  } catch (error) {
    return [{ path, message: `these files cannot be used together (${errorCode(error)})` }];
  }
}
