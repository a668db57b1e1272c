/** Services, EndpointSlices, Ingresses. */
import {
  type Describe,
  describeEvents,
  describeLabels,
  describeName,
} from "#cli/describe/common.ts";
import { annotationLines, pairLines, pairsText, type Writer } from "#cli/describe/writer.ts";
import type { Session } from "#cli/session.ts";
import { listAll } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  EndpointSlice,
  Ingress,
  IngressBackend,
  Service,
  ServicePort,
} from "#resources/types.gen.ts";

const SHOWN_MAX = 3;

async function slicesOf(session: Session, namespace: string | undefined, service: string) {
  const labelSelector = `kubernetes.io/service-name=${service}`;
  const { items } = await listAll(session, pathOf(endpointSlices, { namespace }), {
    labelSelector,
  });
  return items as Stored<EndpointSlice>[];
}

/** `10.42.0.2:8080,10.42.0.3:8080 + 2 more...` of one port's name. */
function endpointsText(slices: readonly EndpointSlice[], portName: string): string {
  const found = slices.flatMap(({ endpoints = [], ports }) => {
    const port = (ports ?? []).find(({ name = "" }) => name === portName)?.port;
    return endpoints
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses.map((each) => `${each}:${port ?? ""}`));
  });
  const shown = found.slice(0, SHOWN_MAX).join(",");
  return found.length > SHOWN_MAX ? `${shown} + ${found.length - SHOWN_MAX} more...` : shown;
}

function describePort(writer: Writer, port: ServicePort, endpoints: string): void {
  const { name = "<unset>", protocol = "TCP", targetPort, nodePort } = port;
  writer.line(0, `Port:\t${name || "<unset>"}\t${port.port}/${protocol}`);
  const target = typeof targetPort === "string" ? targetPort : (targetPort ?? port.port);
  writer.field(0, "TargetPort", `${target}/${protocol}`);
  if (nodePort) writer.line(0, `NodePort:\t${name || "<unset>"}\t${nodePort}/${protocol}`);
  writer.field(0, "Endpoints", endpoints);
}

export const describeService: Describe<Stored<Service>> = async (writer, object, session) => {
  const { metadata, spec, status } = object;
  describeName(writer, object);
  describeLabels(writer, object);
  writer.field(0, "Selector", pairsText(spec?.selector));
  writer.field(0, "Type", spec?.type ?? "");
  if (spec?.ipFamilyPolicy) writer.field(0, "IP Family Policy", spec.ipFamilyPolicy);
  writer.field(0, "IP Families", spec?.ipFamilies?.join(",") ?? "<none>");
  writer.field(0, "IP", spec?.clusterIP ?? "");
  writer.field(0, "IPs", spec?.clusterIPs?.join(",") || "<none>");
  if (spec?.externalIPs?.length) writer.field(0, "External IPs", spec.externalIPs.join(","));
  if (spec?.externalName) writer.field(0, "External Name", spec.externalName);
  const ingress = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname);
  if (ingress.length > 0) writer.field(0, "LoadBalancer Ingress", ingress.join(", "));
  const slices = await slicesOf(session, metadata.namespace, metadata.name);
  for (const port of spec?.ports ?? []) {
    describePort(writer, port, endpointsText(slices, port.name ?? ""));
  }
  writer.field(0, "Session Affinity", spec?.sessionAffinity ?? "");
  const { externalTrafficPolicy: outer, internalTrafficPolicy: inner } = spec ?? {};
  if (outer) writer.field(0, "External Traffic Policy", outer);
  if (inner) writer.field(0, "Internal Traffic Policy", inner);
  if (spec?.healthCheckNodePort) {
    writer.field(0, "HealthCheck NodePort", String(spec.healthCheckNodePort));
  }
  await describeEvents(writer, object, session);
};

export const describeEndpointSlice: Describe<Stored<EndpointSlice>> = async (
  writer,
  object,
  session,
) => {
  describeName(writer, object);
  describeLabels(writer, object);
  writer.field(0, "AddressType", object.addressType);
  const ports = object.ports ?? [];
  if (ports.length === 0) writer.field(0, "Ports", "<unset>");
  else {
    const rows = ports.map(({ name, port, protocol = "TCP" }) => [
      name || "<unset>",
      String(port ?? "<unset>"),
      protocol,
    ]);
    const head = ["Name", "Port", "Protocol"];
    writer.line(0, "Ports:").table(1, [head, ["----", "----", "--------"], ...rows]);
  }
  const endpoints = object.endpoints ?? [];
  writer.line(0, endpoints.length === 0 ? "Endpoints: <none>" : "Endpoints:");
  for (const { addresses, conditions, hostname, targetRef, nodeName, zone } of endpoints) {
    writer.line(1, `- Addresses:\t${addresses.join(", ")}`);
    writer.line(2, "Conditions:").field(3, "Ready", String(conditions?.ready ?? "<unset>"));
    writer.field(2, "Hostname", hostname ?? "<unset>");
    if (targetRef) writer.field(2, "TargetRef", `${targetRef.kind}/${targetRef.name}`);
    writer.field(2, "NodeName", nodeName ?? "<unset>");
    writer.field(2, "Zone", zone ?? "<unset>");
  }
  await describeEvents(writer, object, session);
};

async function backendText(session: Session, namespace: string | undefined, at: IngressBackend) {
  const { service, resource } = at;
  if (service === undefined) return resource ? `${resource.kind}/${resource.name}` : "";
  const port = service.port?.name ?? service.port?.number ?? "";
  const slices = await slicesOf(session, namespace, service.name);
  const names = slices.flatMap(({ ports }) => (ports ?? []).map(({ name = "" }) => name));
  const text = endpointsText(slices, service.port?.name ?? names[0] ?? "");
  return `${service.name}:${port} (${text || "<none>"})`;
}

export const describeIngress: Describe<Stored<Ingress>> = async (writer, object, session) => {
  const { metadata, spec, status } = object;
  const { namespace } = metadata;
  writer.field(0, "Name", metadata.name);
  writer.field(0, "Labels", pairLines(metadata.labels));
  writer.field(0, "Namespace", namespace ?? "");
  const addresses = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname);
  writer.field(0, "Address", addresses.join(","));
  writer.field(0, "Ingress Class", spec?.ingressClassName ?? "<none>");
  const fallback = spec?.defaultBackend;
  const other = fallback ? await backendText(session, namespace, fallback) : "<default>";
  writer.field(0, "Default backend", other);
  if (spec?.tls?.length) writer.line(0, "TLS:");
  for (const { secretName, hosts = [] } of spec?.tls ?? []) {
    const terminates = `terminates ${hosts.join(",")}`;
    writer.line(1, secretName ? `${secretName} ${terminates}` : `SNI routes ${hosts.join(",")}`);
  }
  writer.line(0, "Rules:").table(1, [
    ["Host", "Path", "Backends"],
    ["----", "----", "--------"],
  ]);
  for (const { host, http } of spec?.rules ?? []) {
    writer.line(1, `${host || "*"}\t`);
    for (const { path = "", backend } of http?.paths ?? []) {
      writer.line(1, `\t${path} \t${await backendText(session, namespace, backend)}`);
    }
  }
  writer.field(0, "Annotations", annotationLines(metadata.annotations));
  await describeEvents(writer, object, session);
};
