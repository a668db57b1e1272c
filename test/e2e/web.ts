/** The workload of these tests: the demonstration's web server behind a Service. */

export interface WebOptions {
  name?: string;
  replicas?: number;
  tag?: string;
  greeting?: string;
  nodePort?: number;
}

export function webManifest(options: WebOptions = {}): string {
  const { name = "web", replicas = 3, tag = "1", greeting = "hello", nodePort } = options;
  const service =
    nodePort === undefined
      ? ""
      : `  type: NodePort\n  ports: [{port: 80, targetPort: 8080, nodePort: ${nodePort}}]`;
  return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: web
          image: bramble.local/web:${tag}
          imagePullPolicy: Never
          env: [{name: GREETING, value: ${greeting}}]
          ports: [{containerPort: 8080}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec:
  selector: {app: ${name}}
${service || "  ports: [{port: 80, targetPort: 8080}]"}
`;
}

/** All that comes to the Ingress goes to it. */
export const WEB_INGRESS = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  defaultBackend: {service: {name: web, port: {number: 80}}}
`;
