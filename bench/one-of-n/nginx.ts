/** Real nginx as an auth proxy, with next upstreams and an emergency login, as a competent operator writes it. */
import { temporaryPaths } from "../nginx.ts";
import type { Place } from "./place.ts";

export const NGINX_SETTINGS =
  "keepalive 32, proxy_connect_timeout 3s, proxy_read_timeout 5s, proxy_next_upstream error timeout http_500 http_502 http_503 non_idempotent with 2 tries; a service address stands twice in the upstream block, because nginx asks a lone server only once, with max_fails=0, because otherwise one failure of each shuts it out for 10 s; a name is resolved at the start; error_page 500 502 503 504 to a basic auth";

export function nginxConfig(folder: string, port: number, { reach, upstreams }: Place): string {
  const listed =
    reach === "vip"
      ? [...upstreams, ...upstreams].map((upstream) => `server ${upstream} max_fails=0;`)
      : upstreams.map((upstream) => `server ${upstream};`);
  return `
daemon off;
user root;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
${temporaryPaths(folder)}
  upstream outpost { ${listed.join(" ")} keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://outpost;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_connect_timeout 3s;
      proxy_read_timeout 5s;
      proxy_next_upstream error timeout http_500 http_502 http_503 non_idempotent;
      proxy_next_upstream_tries 2;
      proxy_intercept_errors on;
      error_page 500 502 503 504 = @emergency;
    }
    location @emergency {
      auth_basic "Emergency Access";
      auth_basic_user_file ${folder}/htpasswd;
      try_files /none =204;
    }
  }
}
`;
}
