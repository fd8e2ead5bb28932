{{- define "foresail.labels" -}}
labels: {app.kubernetes.io/name: foresail}
{{- end }}

{{- define "foresail.meta" -}}
name: foresail
namespace: {{ .Release.Namespace }}
{{ include "foresail.labels" . }}
{{- end }}

{{- define "foresail.subjects" -}}
subjects: [{kind: ServiceAccount, name: foresail, namespace: {{ .Release.Namespace }}}]
{{- end }}

{{- define "foresail.apiservices" -}}
v1beta1.custom.metrics.k8s.io,v1beta2.custom.metrics.k8s.io,v1beta1.external.metrics.k8s.io
{{- if .Values.resourceMetrics.enabled }},v1beta1.metrics.k8s.io{{ end }}
{{- end }}
