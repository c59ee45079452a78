/** undici's whole index takes 5 MB more, for a fetch, caches and agents that nothing here uses. */
declare module "undici/lib/dispatcher/client.js" {
  import { Client } from "undici";
  export = Client;
}
