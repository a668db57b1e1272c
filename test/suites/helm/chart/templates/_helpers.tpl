{{- define "web.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "web.container" -}}
image: bramble.local/web:{{ .Values.image.tag }}
imagePullPolicy: Never
{{- end }}
