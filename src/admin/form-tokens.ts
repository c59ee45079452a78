import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const KEY_BYTES = 32;
/** An open page gets a new token every few seconds. */
const TOKEN_MS = 12 * 3_600_000;

interface FormTokens {
  make(user: string): string;
  isGood(token: string, user: string): boolean;
}

/** A token has the form `time.mac`, and is good for one user of this process. `now` is monotonic, in milliseconds. */
export function createFormTokens(now: () => number = () => performance.now()): FormTokens {
  const key = randomBytes(KEY_BYTES);
  const macOf = (user: string, time: string): Buffer =>
    createHmac("sha256", key).update(`${time}\n${user}`).digest();
  return {
    make: (user) => {
      const time = String(Math.floor(now()));
      return `${time}.${macOf(user, time).toString("base64url")}`;
    },
    isGood: (token, user) => {
      const [time = "", mac = ""] = token.split(".");
      const wanted = macOf(user, time);
      const given = Buffer.from(mac, "base64url");
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return false;
      return now() - Number(time) < TOKEN_MS;
    },
  };
}
