// The servers that the page is looked at on: the demo, and one with a thousand metrics whose labels want to be HTML.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const hostile = `<img src="x" onerror="document.title='owned'"><script>document.title='owned'</script>`;

/** ready waits until a server says that it is. */
async function ready(url, program) {
  for (let i = 0; i < 600; i++) {
    if (program.exitCode !== null) throw new Error(`foresail ended with ${program.exitCode}`);
    const up = await fetch(url + "/-/ready").then((r) => r.ok, () => false);
    if (up) return;
    await new Promise((r) => setTimeout(r, 100));
  }
  throw new Error(`${url} is not ready after a minute`);
}

async function run(binary, args, url) {
  const program = spawn(binary, args, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise((r) => program.once("exit", r));
  const stop = async () => {
    program.kill("SIGTERM");
    await ended;
  };
  try {
    await ready(url, program);
  } catch (err) {
    await stop();
    throw err;
  }
  return { url, stop };
}

/** free finds ports that nobody listens on. */
export async function free() {
  const server = http.createServer().listen(0, "127.0.0.1");
  await new Promise((r) => server.once("listening", r));
  const { port } = server.address();
  await new Promise((r) => server.close(r));
  return `127.0.0.1:${port}`;
}

/** demo runs foresail demo, and reads a metric as an autoscaler does once its forecast is there. */
export async function demo(binary) {
  const [api, web] = [await free(), await free()];
  const it = await run(binary, ["demo", "--listen", api, "--web", web], `http://${web}`);
  const read = `http://${api}/apis/external.metrics.k8s.io/v1beta1/namespaces/demo/checkout_requests_per_second_forecast`;
  for (let i = 0; ; i++) {
    const told = await fetch(`${it.url}/api/v1alpha/page/history?metric=checkout_requests_per_second&series=%7B%7D`).then((r) => (r.ok ? r.json() : null), () => null);
    if (told?.forecast?.state === "trusted" && told.said[1].some((v) => v !== null)) break;
    if (i > 600) throw new Error("the demo has no forecast after a minute");
    await new Promise((r) => setTimeout(r, 100));
  }
  await fetch(read);
  return it;
}

/** hostileName is what no API server would take for a name. */
export const hostileName = "web" + hostile;

/**
 * cluster runs a server as in a cluster, whose API server is made up: it knows who reads by the token, and tells of three HPAs, of which two
 * have read, or, where it is not allowed, that it may not.
 */
export async function cluster(binary, allowed) {
  const external = (name, queue) => ({ type: "External", external: { metric: { name, selector: { matchLabels: { queue } } } } });
  const hpa = (name, ...metrics) => ({ metadata: { name, namespace: "shop" }, spec: { metrics } });
  const hpas = { kind: "HorizontalPodAutoscalerList", apiVersion: "autoscaling/v2", metadata: {}, items: [hpa("web", external("Orders", "a")), hpa(hostileName, external("orders", "a")), hpa("mail", external("orders", "b"))] };
  const forbidden = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "Forbidden", code: 403, message: 'horizontalpodautoscalers.autoscaling is forbidden: User "foresail" cannot list them' };
  const api = http.createServer(async (request, response) => {
    const body = JSON.parse((await new Response(request).text().catch(() => "")) || "{}");
    let told = { kind: "APIGroupList", apiVersion: "v1", groups: [], major: "1", minor: "36", gitVersion: "v1.36.0" };
    if (request.url.includes("horizontalpodautoscalers")) told = allowed ? hpas : forbidden;
    if (request.url.includes("tokenreviews")) told = { ...body, status: { authenticated: true, user: { username: body.spec.token } } };
    if (request.url.includes("subjectaccessreviews")) told = { ...body, status: { allowed: true } };
    response.writeHead(told.code ?? 200, { "Content-Type": "application/json" }).end(JSON.stringify(told));
  });
  const prometheus = http.createServer((_, response) => {
    const result = ["a", "b"].map((queue) => ({ metric: { queue }, value: [Date.now() / 1000, "7"] }));
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
  });
  for (const server of [api, prometheus]) await new Promise((r) => server.listen(0, "127.0.0.1", r));
  const [web, secure] = [await free(), await free()];
  const dir = mkdtempSync(join(tmpdir(), "foresail-ui-"));
  const [config, kubeconfig] = [join(dir, "foresail.yaml"), join(dir, "kubeconfig")];
  writeFileSync(config, `backends: [{name: main, prometheus: {url: "http://127.0.0.1:${prometheus.address().port}"}}]
web: {listen: "${web}"}
metrics: [{name: orders, query: x, interval: 1m, external: {}}]
`);
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: "v1", kind: "Config", "current-context": "c", contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }], clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${api.address().port}` } }] }));
  const clean = () => {
    for (const server of [api, prometheus]) {
      server.close();
      server.closeAllConnections();
    }
    rmSync(dir, { recursive: true });
  };
  try {
    const it = await run(binary, ["serve", "--config", config, "--kubeconfig", kubeconfig, "--authentication-skip-lookup", "--bind-address=127.0.0.1",
      `--secure-port=${secure.split(":")[1]}`, "--shutdown-delay-duration=0s"], `http://${web}`);
    for (const who of ["system:serviceaccount:kube-system:horizontal-pod-autoscaler", "kate"]) {
      const selector = who === "kate" ? "" : "?labelSelector=queue%3Da";
      await new Promise((done, failed) => https.get(`https://${secure}/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/orders${selector}`,
        { rejectUnauthorized: false, headers: { Authorization: "Bearer " + who }, agent: false }, (r) => (r.resume(), r.statusCode === 200 ? done() : failed(new Error(`a read is answered with ${r.statusCode}`)))).on("error", failed));
    }
    return { url: it.url, stop: () => it.stop().then(clean) };
  } catch (err) {
    clean();
    throw err;
  }
}

/** crowd runs a server with 1,000 metrics, one of them with 150 series of hostile labels, on a Prometheus that is made up. */
export async function crowd(binary) {
  const prometheus = http.createServer((request, response) => {
    const now = Date.now() / 1000;
    const vector = Array.from({ length: 150 }, (_, i) => ({ metric: { pod: `web-${String(i).padStart(3, "0")}`, note: hostile }, value: [now, String(i)] }));
    response.setHeader("Content-Type", "application/json");
    const matrix = request.url.includes("query_range");
    response.end(JSON.stringify({ status: "success", data: { resultType: matrix ? "matrix" : "vector", result: matrix ? [] : vector } }));
  });
  prometheus.listen(0, "127.0.0.1");
  await new Promise((r) => prometheus.once("listening", r));
  const web = await free();
  const dir = mkdtempSync(join(tmpdir(), "foresail-ui-"));
  let text = `standalone: true
backends: [{name: main, prometheus: {url: "http://127.0.0.1:${prometheus.address().port}", headers: {X-Scope-OrgID: hunter2}}}]
web: {listen: "${web}"}
snapshots: {path: ${join(dir, "snapshot")}}
metrics:
- {name: crowd, query: x, interval: 1m, external: {}, forecast: {lead: 30m}}
`;
  for (let i = 1; i < 1000; i++) text += `- {name: m${String(i).padStart(3, "0")}, query: y, interval: 1m, external: {}}\n`;
  writeFileSync(join(dir, "foresail.yaml"), text);
  const clean = () => {
    prometheus.close();
    prometheus.closeAllConnections();
    rmSync(dir, { recursive: true });
  };
  try {
    const it = await run(binary, ["serve", "--config", join(dir, "foresail.yaml")], `http://${web}`);
    return { url: it.url, stop: () => it.stop().then(clean) };
  } catch (err) {
    clean();
    throw err;
  }
}
