/** A Deployment of one container with 100m of CPU at most, and its autoscaler for up to three. */

export interface AutoscaledOptions {
  readonly name: string;
  /** For `sh -c`. */
  readonly script: string;
  /** The autoscaler's, in YAML; its defaults where left out. */
  readonly behavior?: string;
}

export const autoscaledManifest = ({ name, script, behavior = "{}" }: AutoscaledOptions) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: bramble.local/web:1
        imagePullPolicy: Never
        command: [sh, -c, "${script}"]
        resources: {requests: {cpu: 50m}, limits: {cpu: 100m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: ${name}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: ${name}}
  minReplicas: 1
  maxReplicas: 3
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
  behavior: ${behavior}
`;
