/** Probes by every means and with every number, asked of real containers. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod, Probe } from "#resources/types.gen.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(300_000);

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-probes");
  mkdirSync(`${k.dataDir}/keys`);
  const keys = ["-keyout", `${k.dataDir}/keys/key.pem`, "-out", `${k.dataDir}/keys/cert.pem`];
  const argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
  const made = Bun.spawnSync([...argv, ...keys, "-subj", "/CN=nobody"]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
});

afterAll(async () => {
  await k.close();
});

const startedMs = (pod: Pod): number => Date.parse(statusOf(pod)?.state?.running?.startedAt ?? "");

const readyMs = (pod: Pod): number =>
  Date.parse(
    pod.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime ?? "",
  );

/** The machine's Bun in a container, with its libraries. */
function bun(name: string, script: string, args: readonly string[], probes: object): Container {
  const command = [process.execPath, `/srv/${script}`, ...args];
  const volumeMounts = [
    { name: "usr", mountPath: "/usr", readOnly: true },
    { name: "usr", mountPath: "/lib", subPath: "lib", readOnly: true },
    { name: "usr", mountPath: "/lib64", subPath: "lib64", readOnly: true },
    { name: "srv", mountPath: "/srv", readOnly: true },
    { name: "keys", mountPath: "/keys", readOnly: true },
  ];
  return { ...shell(name, ""), command, volumeMounts, ...probes };
}

test.concurrent("headers, hosts, names of ports, TLS and gRPC are as the probe says", async () => {
  const every = { periodSeconds: 1, timeoutSeconds: 30 };
  const of = (container: string, probe: Probe): Container => {
    const ports = [{ name: "web", containerPort: 8080 }];
    return shell(container, WAIT, { ports, readinessProbe: { ...every, ...probe } });
  };
  const wanted = [{ name: "X-Wanted", value: "yes" }];
  const host = { name: "Host", value: "of.test" };
  // What the node itself serves, for a probe that names its host.
  const here = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
  const port = here.port ?? 0;
  const http = { port: "web", httpHeaders: [...wanted, host] };
  const server = bun("main", "probed.ts", ["/keys/key.pem", "/keys/cert.pem"], {
    startupProbe: { ...every, tcpSocket: { port: 9090 }, failureThreshold: 120 },
    readinessProbe: { ...every, grpc: { port: 9090, service: "any" } },
  });
  try {
    await k.create("asked", {
      volumes: [
        { name: "usr", hostPath: { path: "/usr" } },
        { name: "srv", hostPath: { path: join(import.meta.dir, "../../support") } },
        { name: "keys", hostPath: { path: `${k.dataDir}/keys` } },
      ],
      containers: [
        server,
        of("headers", { httpGet: http }),
        of("without", { httpGet: { port: "web", httpHeaders: wanted } }),
        of("tls", { httpGet: { port: 8443, scheme: "HTTPS" } }),
        of("plain", { httpGet: { port: 8443 } }),
        of("host", { httpGet: { host: "127.0.0.1", port } }),
        of("tcphost", { tcpSocket: { host: "127.0.0.1", port } }),
        of("nohost", { tcpSocket: { port } }),
      ],
    });
    const ready = ["main", "headers", "tls", "host", "tcphost"];
    const pod = await k.until("asked", (one) =>
      ready.every((name) => statusOf(one, name)?.ready === true),
    );
    for (const name of ["without", "plain", "nohost"]) {
      expect([name, statusOf(pod, name)?.ready]).toEqual([name, false]);
    }
    await k.said("asked", "Unhealthy", /^Readiness probe failed: HTTP .* with statuscode: 400/);
    const address = `${pod.status?.podIP}:${port}: `;
    await k.said("asked", "Unhealthy", new RegExp(`dial tcp ${address}`));
    await k.exec("asked", "touch /tmp/sick");
    await k.until("asked", (one) => statusOf(one)?.ready === false);
    await k.said("asked", "Unhealthy", /NOT_SERVING/);
  } finally {
    here.stop(true);
  }
});

test.concurrent("a startup probe holds the others back, and gives up at last", async () => {
  const note = (name: string, test: string) => ({
    exec: { command: ["sh", "-c", `echo ${name} >> /asked; ${test}`] },
    periodSeconds: 1,
    timeoutSeconds: 30,
  });
  const main = shell("main", WAIT, {
    startupProbe: { ...note("startup", "test -f /up"), failureThreshold: 120 },
    livenessProbe: note("liveness", "true"),
    readinessProbe: note("readiness", "true"),
  });
  const never = shell("never", WAIT, {
    startupProbe: { ...note("startup", "false"), failureThreshold: 2 },
  });
  await k.create("startup", { terminationGracePeriodSeconds: 1, containers: [main, never] });
  await eventually("some questions", async () => {
    const asked = await k.exec("startup", "cat /asked 2>/dev/null || true").catch(() => "");
    return asked.split("startup").length > 4 ? true : undefined;
  });
  const asked = (await k.exec("startup", "cat /asked")).trim().split("\n");
  expect(new Set(asked)).toEqual(new Set(["startup"]));
  expect(statusOf(await k.get("startup"))).toMatchObject({ started: false, ready: false });
  await k.exec("startup", "touch /up");
  const pod = await k.until("startup", (one) => statusOf(one)?.ready === true);
  expect(statusOf(pod)).toMatchObject({ started: true, restartCount: 0 });
  await eventually("the others", async () => {
    const text = await k.exec("startup", "cat /asked");
    return text.includes("liveness") && text.includes("readiness") ? true : undefined;
  });
  // Once it has succeeded it is asked no more.
  const after = (await k.exec("startup", "cat /asked")).split("startup").length;
  const gaveUp = await k.until("startup", (one) => (statusOf(one, "never")?.restartCount ?? 0) > 0);
  expect(statusOf(gaveUp)?.restartCount).toBe(0);
  await k.said("startup", "Killing", /failed startup probe/);
  expect((await k.exec("startup", "cat /asked")).split("startup").length).toBe(after);
});

test.concurrent("thresholds, delays and periods count", async () => {
  const script = "if [ -f /ok ]; then echo ok >> /asked; else echo bad >> /asked; exit 1; fi";
  const main = shell("main", WAIT, {
    readinessProbe: {
      exec: { command: ["sh", "-c", script] },
      initialDelaySeconds: 3,
      periodSeconds: 1,
      timeoutSeconds: 30,
      successThreshold: 3,
      failureThreshold: 4,
    },
  });
  await k.create("counts", { containers: [main] });
  const running = await k.until("counts", (pod) => statusOf(pod)?.state?.running !== undefined);
  await k.exec("counts", "touch /ok");
  const ready = await k.ready("counts");
  const asked = async () => (await k.exec("counts", "cat /asked")).trim().split("\n");
  // The third success at the soonest three seconds after the start and two periods later.
  expect((await asked()).filter((word) => word === "ok").length).toBeGreaterThanOrEqual(3);
  expect(readyMs(ready) - startedMs(running)).toBeGreaterThanOrEqual(4_000);
  expect(readyMs(ready) - startedMs(running)).toBeLessThan(90_000);
  await k.exec("counts", "rm /ok");
  const unready = await k.until("counts", (pod) => statusOf(pod)?.ready === false);
  const bad = (await asked()).filter((word) => word === "bad").length;
  expect(bad).toBeGreaterThanOrEqual(4);
  expect(statusOf(unready)?.restartCount).toBe(0);
  const beganMs = performance.now();
  const began = (await asked()).length;
  await eventually("four more", async () =>
    (await asked()).length >= began + 4 ? true : undefined,
  );
  expect(performance.now() - beganMs).toBeGreaterThan(2_500);
});

test.concurrent("an answer that takes too long is a failure, and ends the container", async () => {
  const livenessProbe = {
    exec: { command: ["sleep", "20"] },
    timeoutSeconds: 1,
    periodSeconds: 1,
    failureThreshold: 2,
    terminationGracePeriodSeconds: 1,
  };
  const deaf = "trap '' TERM; while true; do sleep 0.1; done";
  await k.create("late", {
    terminationGracePeriodSeconds: 60,
    containers: [shell("main", deaf, { livenessProbe })],
  });
  // The probe's own grace counts, not the minute of the pod.
  const pod = await k.until("late", (one) => statusOf(one)?.restartCount === 1);
  expect(statusOf(pod)?.lastState?.terminated?.exitCode).toBe(137);
  await k.said("late", "Unhealthy", /took more than 1000 ms|deadline exceeded/);
  await k.remove("late", 1);
});
