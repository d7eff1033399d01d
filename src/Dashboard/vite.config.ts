import { defineConfig, type Plugin } from "vite";

/** In development, requests go to a running gateway: SLUICE (its URL) and SLUICE_KEY (a key) in the environment. */
const gateway = process.env.SLUICE ?? "http://127.0.0.1:8080";
const key = process.env.SLUICE_KEY;

/** Without a session in development: the key of the environment is the session. */
function sessionOfKey(): Plugin {
  return {
    name: "session-of-key",
    configureServer(server) {
      if (!key) return;
      server.middlewares.use("/api/v1/session", (request, response) => {
        if (request.method === "DELETE") {
          response.statusCode = 204;
          response.end();
          return;
        }
        void fetch(`${gateway}/api/v1/key`, { headers: { Authorization: `Bearer ${key}` } }).then(async (own) => {
          response.statusCode = own.status;
          response.setHeader("Content-Type", "application/json");
          const body: unknown = await own.json();
          const expiresAt = new Date(Date.now() + 43_200_000);
          response.end(JSON.stringify(own.ok ? { key: body, expiresAt } : body));
        });
      });
    },
  };
}

const proxy = {
  target: gateway,
  headers: key ? { Authorization: `Bearer ${key}` } : {},
};

export default defineConfig({
  base: "/ui/",
  plugins: [sessionOfKey()],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: true },
  server: { port: 5173, strictPort: true, proxy: { "/api": proxy, "/v1": proxy, "/v2": proxy, "/metrics": proxy } },
});
