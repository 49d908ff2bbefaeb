{{/* The agent's configuration: what the values make, and .Values.config over it. */}}
{{- define "skidder.config" -}}
{{- $output := dict "urls" .Values.elasticsearch.urls -}}
{{- if eq .Values.elasticsearch.auth "apiKey" -}}
{{- $_ := set $output "api_key_file" "/etc/skidder/api-key" -}}
{{- else if eq .Values.elasticsearch.auth "password" -}}
{{- $_ := set $output "username" .Values.elasticsearch.username -}}
{{- $_ := set $output "password_file" "/etc/skidder/password" -}}
{{- end -}}
{{- if .Values.elasticsearch.ca.secret -}}
{{- $_ := set $output "tls" (dict "ca_file" "/etc/skidder/ca.crt") -}}
{{- end -}}
{{- $config := dict "node_name" "${NODE_NAME}" "output" (dict "elasticsearch" $output) -}}
{{- if eq .Values.kubelet.tls "node-file" -}}
{{- $kubelet := dict "ca_file" "/etc/kubelet.crt" "server_name" "${NODE_NAME}" -}}
{{- $_ := set $config "kubernetes" (dict "kubelet" $kubelet) -}}
{{- else if eq .Values.kubelet.tls "insecure" -}}
{{- $_ := set $config "kubernetes" (dict "kubelet" (dict "insecure_skip_verify" true)) -}}
{{- end -}}
{{- include "skidder.overlay" (dict "base" $config "over" (deepCopy .Values.config)) -}}
{{- $timeout := dig "shutdown" "timeout" "25s" $config | toString -}}
{{- if and (regexMatch "^[0-9]+s$" $timeout) (ge (trimSuffix "s" $timeout | int) (int .Values.terminationGracePeriodSeconds)) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: make it more than shutdown.timeout, which is %s, or the agent is killed while it ends" (int .Values.terminationGracePeriodSeconds) $timeout) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* Lays `over` over `base`, in place; null takes a key away, which Helm's own merge does not. */}}
{{- define "skidder.overlay" -}}
{{- $base := .base -}}
{{- range $key, $value := .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $base $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "skidder.overlay" (dict "base" (get $base $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}
