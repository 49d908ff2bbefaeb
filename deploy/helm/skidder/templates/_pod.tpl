{{/* What all containers are denied: user and escalation are set where it is used. */}}
{{- define "skidder.denied" -}}
runAsGroup: 0
readOnlyRootFilesystem: true
{{- with .Values.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- if .Values.openshift.enabled }}
seLinuxOptions: { type: spc_t }
{{- end }}
{{- end }}
{{- end }}

{{/* The agent's: a user without a name, in the group that logs belong to. */}}
{{- define "skidder.agentContext" -}}
runAsUser: 65532
runAsNonRoot: true
{{ include "skidder.denied" . }}
allowPrivilegeEscalation: {{ .Values.readAnyFile }}
capabilities:
  drop: [ALL]
  {{- if .Values.readAnyFile }}
  add: [DAC_READ_SEARCH]
  {{- end }}
{{- end }}

{{- define "skidder.env" -}}
- name: NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: NODE_IP
  valueFrom: { fieldRef: { fieldPath: status.hostIP } }
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "skidder.mounts" -}}
- { name: config, mountPath: /etc/skidder, readOnly: true }
- { name: data, mountPath: /var/lib/skidder }
- { name: logs, mountPath: /var/log, readOnly: true }
{{- if .Values.docker.enabled }}
- { name: docker, mountPath: {{ .Values.docker.path }}, readOnly: true }
{{- end }}
{{- if eq .Values.kubelet.tls "node-file" }}
- { name: kubelet, mountPath: /etc/kubelet.crt, readOnly: true }
{{- end }}
{{- end }}

{{- define "skidder.volumes" -}}
- name: config
  projected:
    defaultMode: 0440
    sources:
      - configMap: { name: {{ include "skidder.fullname" . }} }
      {{- if ne .Values.elasticsearch.auth "none" }}
      {{- $key := ternary "api-key" "password" (eq .Values.elasticsearch.auth "apiKey") }}
      - secret:
          name: {{ .Values.elasticsearch.secret }}
          items: [{ key: {{ $key }}, path: {{ $key }} }]
      {{- end }}
      {{- with .Values.elasticsearch.ca }}
      {{- if .secret }}
      - secret:
          name: {{ .secret }}
          items: [{ key: {{ .key }}, path: ca.crt }]
      {{- end }}
      {{- end }}
- name: data
  hostPath: { path: {{ .Values.dataDir }}, type: DirectoryOrCreate }
- name: logs
  hostPath: { path: /var/log, type: Directory }
{{- if .Values.docker.enabled }}
- name: docker
  hostPath: { path: {{ .Values.docker.path }}, type: Directory }
{{- end }}
{{- if eq .Values.kubelet.tls "node-file" }}
# The file alone: beside it lies the kubelet's key.
- name: kubelet
  hostPath: { path: {{ .Values.kubelet.nodeFile }}, type: File }
{{- end }}
{{- end }}

{{/* What the DaemonSet's pods and the chart's test share. */}}
{{- define "skidder.pod" -}}
serviceAccountName: {{ include "skidder.serviceAccount" . }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
hostNetwork: false
securityContext:
  seccompProfile: { type: RuntimeDefault }
volumes:
  {{- include "skidder.volumes" . | nindent 2 }}
{{- end }}
