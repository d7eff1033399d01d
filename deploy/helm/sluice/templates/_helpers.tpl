{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "sluice.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sluice.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* Workers do not have these labels, so no Service and no Deployment selects them. */ -}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sluice.workerNamespace" -}}
{{- default (printf "%s-workers" .Release.Namespace) .Values.workers.namespace -}}
{{- end -}}

{{- define "sluice.adminSecret" -}}
{{- default (printf "%s-admin" (include "sluice.fullname" .)) .Values.adminKey.existingSecret -}}
{{- end -}}

{{- define "sluice.redisSecret" -}}
{{- default (printf "%s-redis" (include "sluice.fullname" .)) .Values.redis.existingSecret -}}
{{- end -}}

{{- define "sluice.modelsClaim" -}}
{{- if .Values.models.existingClaim -}}
{{- .Values.models.existingClaim -}}
{{- else if .Values.models.size -}}
{{- printf "%s-models" (include "sluice.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "sluice.sharedClaim" -}}
{{- if .Values.shared.existingClaim -}}
{{- .Values.shared.existingClaim -}}
{{- else if .Values.shared.size -}}
{{- printf "%s-shared" (include "sluice.fullname" .) -}}
{{- end -}}
{{- end -}}
