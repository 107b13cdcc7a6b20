{{- define "riskscorer.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "riskscorer.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "riskscorer.labels" -}}
{{ include "riskscorer.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "riskscorer.serviceName" -}}
{{- default (include "riskscorer.fullname" .) .Values.service.name -}}
{{- end -}}

{{- define "riskscorer.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "riskscorer.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "riskscorer.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /*
The environment as one map from name to value, so that no name can come twice: server-side apply refuses that.
*/ -}}
{{- define "riskscorer.env" -}}
{{- $env := dict
  "ROLE" .Values.role
  "MODEL_PATH" .Values.model.path
  "DRAIN_TIMEOUT" (printf "%ds" (int .Values.drainTimeoutSeconds))
  "HTTP_ADDR" ":8000"
  "METRICS_ADDR" ":9090"
-}}
{{- if .Values.model.version -}}
{{- $_ := set $env "MODEL_VERSION" .Values.model.version -}}
{{- end -}}
{{- if ne .Values.role "stream" -}}
{{- if .Values.http.tls.secret -}}
{{- $_ := set $env "HTTP_TLS_CERT_FILE" "/etc/riskscorer/http-tls/tls.crt" -}}
{{- $_ := set $env "HTTP_TLS_KEY_FILE" "/etc/riskscorer/http-tls/tls.key" -}}
{{- end -}}
{{- $_ := set $env "HTTP_AUTH" .Values.http.auth -}}
{{- if eq .Values.http.auth "bearer" -}}
{{- $_ := set $env "HTTP_TOKENS_FILE" "/etc/riskscorer/http-tokens/tokens" -}}
{{- end -}}
{{- if eq .Values.http.auth "mtls" -}}
{{- $_ := set $env "HTTP_TLS_CLIENT_CA_FILE" "/etc/riskscorer/http-tls/ca.crt" -}}
{{- $_ := set $env "HTTP_CLIENT_NAMES" (join "," .Values.http.clientNames) -}}
{{- end -}}
{{- end -}}
{{- if ne .Values.role "serve" -}}
{{- $_ := set $env "KAFKA_BROKERS" (join "," .Values.kafka.brokers) -}}
{{- $_ := set $env "KAFKA_GROUP" .Values.kafka.group -}}
{{- $_ := set $env "KAFKA_SESSION_TIMEOUT" (printf "%ds" (int .Values.kafka.sessionTimeoutSeconds)) -}}
{{- $_ := set $env "OFFSET_RESET" .Values.kafka.offsetReset -}}
{{- $_ := set $env "ORDERS_TOPIC" .Values.kafka.ordersTopic -}}
{{- $_ := set $env "RESULTS_TOPIC" .Values.kafka.resultsTopic -}}
{{- $_ := set $env "DEAD_LETTERS_TOPIC" .Values.kafka.deadLettersTopic -}}
{{- if .Values.schemaRegistry.url -}}
{{- $_ := set $env "SCHEMA_REGISTRY_URL" .Values.schemaRegistry.url -}}
{{- end -}}
{{- if .Values.kafka.tls.enabled -}}
{{- $_ := set $env "KAFKA_TLS_ENABLED" "true" -}}
{{- if .Values.kafka.tls.secret -}}
{{- $_ := set $env "KAFKA_TLS_CA_FILE" "/etc/riskscorer/kafka-tls/ca.crt" -}}
{{- if .Values.kafka.tls.clientCertificate -}}
{{- $_ := set $env "KAFKA_TLS_CERT_FILE" "/etc/riskscorer/kafka-tls/tls.crt" -}}
{{- $_ := set $env "KAFKA_TLS_KEY_FILE" "/etc/riskscorer/kafka-tls/tls.key" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.kafka.sasl.mechanism -}}
{{- $_ := set $env "KAFKA_SASL_MECHANISM" .Values.kafka.sasl.mechanism -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.env -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}
