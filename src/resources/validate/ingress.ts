/** Ingresses and their classes (networking validation; "Ingress"). */
import { isIP } from "node:net";
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressRule,
  IngressServiceBackend,
  IngressTLS,
  TypedLocalObjectReference,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  port,
  requiredByRule,
  supported,
} from "#resources/validate/basic.ts";
import { checkBalancerPoint } from "#resources/validate/status.ts";
import {
  label1035Errors,
  labelErrors,
  pathErrors,
  portNameErrors,
  subdomainErrors,
  wildcardErrors,
} from "#resources/validate/text.ts";

const PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS = ["/..", "/."];
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const CLASS_BYTES_MAX = 250;

const hostCauses = (host: string, path: string): Cause[] =>
  byRule(host.includes("*") ? wildcardErrors : subdomainErrors, host, path);

const referenceCauses = (reference: TypedLocalObjectReference, path: string): Cause[] => [
  ...(reference.apiGroup === undefined
    ? []
    : byRule(subdomainErrors, reference.apiGroup, `${path}.apiGroup`)),
  ...requiredByRule(pathErrors, reference.kind, `${path}.kind`),
  ...requiredByRule(pathErrors, reference.name, `${path}.name`),
];

function serviceCauses(service: IngressServiceBackend, path: string): Cause[] {
  const causes = requiredByRule(label1035Errors, service.name, `${path}.service.name`);
  const { name, number } = service.port ?? {};
  if (name && number)
    return [...causes, invalid(path, "", "cannot set both port name & port number")];
  if (name) return [...causes, ...byRule(portNameErrors, name, `${path}.service.port.name`)];
  if (number) return [...causes, ...port(number, `${path}.service.port.number`)];
  return [...causes, required(path, "port name or number is required")];
}

function backendCauses(backend: IngressBackend | undefined, path: string): Cause[] {
  const { resource, service } = backend ?? {};
  if (resource && service) {
    return [invalid(path, "", "cannot set both resource and service backends")];
  }
  if (resource) return referenceCauses(resource, `${path}.resource`);
  if (service) return serviceCauses(service, path);
  return [invalid(path, "", "resource or service backend is required")];
}

function pathCauses(rule: HTTPIngressPath, at: string): Cause[] {
  const { pathType, path = "", backend } = rule;
  if (pathType === undefined) return [required(`${at}.pathType`, "pathType must be specified")];
  const causes: Cause[] = [];
  const free = pathType === "ImplementationSpecific";
  if (!PATH_TYPES.includes(pathType)) {
    causes.push(notSupported(`${at}.pathType`, pathType, PATH_TYPES));
  } else if (!path.startsWith("/") && !(free && path === "")) {
    causes.push(invalid(`${at}.path`, path, "must be an absolute path"));
  }
  if (pathType === "Exact" || pathType === "Prefix") {
    for (const sequence of BAD_SEQUENCES.filter((each) => path.includes(each))) {
      causes.push(invalid(`${at}.path`, path, `must not contain '${sequence}'`));
    }
    for (const end of BAD_ENDS.filter((each) => path.endsWith(each))) {
      causes.push(invalid(`${at}.path`, path, `cannot end with '${end}'`));
    }
  }
  return [...causes, ...backendCauses(backend, `${at}.backend`)];
}

function ruleCauses({ host, http }: IngressRule, at: string): Cause[] {
  const causes: Cause[] = [];
  if (host && isIP(host) !== 0) {
    causes.push(invalid(`${at}.host`, host, "must be a DNS name, not an IP address"));
  }
  if (host) causes.push(...hostCauses(host, `${at}.host`));
  if (!http) return causes;
  if ((http.paths ?? []).length === 0) return [...causes, required(`${at}.http.paths`)];
  return [...causes, ...each(http.paths, `${at}.http.paths`, pathCauses)];
}

const tlsCauses = ({ hosts, secretName }: IngressTLS, at: string): Cause[] => [
  ...each(hosts, `${at}.hosts`, hostCauses),
  ...(secretName ? byRule(subdomainErrors, secretName, `${at}.secretName`) : []),
];

export function validateIngress(
  ingress: Ingress,
  old: Ingress | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const at = "status.loadBalancer.ingress";
    return each(ingress.status?.loadBalancer?.ingress, at, checkBalancerPoint);
  }
  const { rules, defaultBackend, tls, ingressClassName } = ingress.spec ?? {};
  const causes: Cause[] = [];
  if ((rules ?? []).length === 0 && !defaultBackend) {
    causes.push(
      invalid("spec", rules ?? null, "either `defaultBackend` or `rules` must be specified"),
    );
  }
  if (defaultBackend) causes.push(...backendCauses(defaultBackend, "spec.defaultBackend"));
  causes.push(...each(rules, "spec.rules", ruleCauses), ...each(tls, "spec.tls", tlsCauses));
  if (ingressClassName === undefined) return causes;
  causes.push(...byRule(subdomainErrors, ingressClassName, "spec.ingressClassName"));
  const annotation = ingress.metadata?.annotations?.[CLASS_ANNOTATION];
  if (!old && annotation !== undefined && annotation !== ingressClassName) {
    const detail = "must match `ingressClassName` when both are specified";
    causes.push(invalid(`annotations.${CLASS_ANNOTATION}`, annotation, detail));
  }
  return causes;
}

function controllerCauses(controller: string): Cause[] {
  const at = "spec.controller";
  if (controller === "") return [required(at)];
  if (controller.length > CLASS_BYTES_MAX) {
    const message = `Too long: may not be more than ${CLASS_BYTES_MAX} bytes`;
    return [{ reason: "FieldValueTooLong", field: at, message }];
  }
  const slash = controller.indexOf("/");
  const host = controller.slice(0, Math.max(slash, 0));
  if (host === "" || slash === controller.length - 1) {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")';
    return [invalid(at, controller, detail)];
  }
  return byRule(subdomainErrors, host, at);
}

export function validateIngressClass(next: IngressClass, old: IngressClass | undefined): Cause[] {
  const { controller = "", parameters } = next.spec ?? {};
  const causes = old ? immutable(controller, old.spec?.controller, "spec.controller") : [];
  causes.push(...controllerCauses(controller));
  if (!parameters) return causes;
  const at = "spec.parameters";
  causes.push(...referenceCauses(parameters, at));
  const { scope, namespace } = parameters;
  causes.push(...supported(scope ?? "", ["Cluster", "Namespace"], `${at}.scope`));
  if (scope === "Cluster" && namespace !== undefined) {
    causes.push(forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  }
  if (scope !== "Namespace") return causes;
  if (namespace === undefined) {
    return [...causes, required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'")];
  }
  return [...causes, ...byRule(labelErrors, namespace, `${at}.namespace`)];
}
