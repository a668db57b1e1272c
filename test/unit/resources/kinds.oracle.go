//go:build ignore

// Answers what Kubernetes makes of objects, one question in JSON a line: see kinds.record.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	crdregistry "k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	request "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	aggscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kube-aggregator/pkg/registry/apiservice"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/capabilities"
	_ "k8s.io/kubernetes/pkg/controlplane"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/apps/controllerrevision"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/certificates/certificates"
	"k8s.io/kubernetes/pkg/registry/coordination/lease"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/endpoint"
	"k8s.io/kubernetes/pkg/registry/core/event"
	"k8s.io/kubernetes/pkg/registry/core/limitrange"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/node"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolume"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"
	"k8s.io/kubernetes/pkg/registry/core/resourcequota"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/flowschema"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/prioritylevelconfiguration"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/ingressclass"
	"k8s.io/kubernetes/pkg/registry/networking/ipaddress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/networking/servicecidr"
	"k8s.io/kubernetes/pkg/registry/node/runtimeclass"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
	"k8s.io/kubernetes/pkg/registry/resource/deviceclass"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaim"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaimtemplate"
	"k8s.io/kubernetes/pkg/registry/resource/resourceslice"
	"k8s.io/kubernetes/pkg/registry/scheduling/priorityclass"
	"k8s.io/kubernetes/pkg/registry/storage/csidriver"
	"k8s.io/kubernetes/pkg/registry/storage/csinode"
	"k8s.io/kubernetes/pkg/registry/storage/csistoragecapacity"
	"k8s.io/kubernetes/pkg/registry/storage/storageclass"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattachment"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattributesclass"
)

type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

var claims = resourceclaim.NewStrategy(nil)

var strategies = map[string]rest.RESTUpdateStrategy{
	"MutatingWebhookConfiguration":       mutatingwebhookconfiguration.Strategy,
	"ValidatingWebhookConfiguration":     validatingwebhookconfiguration.Strategy,
	"ValidatingAdmissionPolicy":          validatingadmissionpolicy.NewStrategy(nil, nil),
	"ValidatingAdmissionPolicyBinding":   validatingadmissionpolicybinding.NewStrategy(nil, nil, nil),
	"ControllerRevision":                 controllerrevision.Strategy,
	"DaemonSet":                          daemonset.Strategy,
	"DaemonSet/status":                   daemonset.StatusStrategy,
	"Deployment":                         deployment.Strategy,
	"Deployment/status":                  deployment.StatusStrategy,
	"ReplicaSet":                         replicaset.Strategy,
	"ReplicaSet/status":                  replicaset.StatusStrategy,
	"StatefulSet":                        statefulset.Strategy,
	"StatefulSet/status":                 statefulset.StatusStrategy,
	"HorizontalPodAutoscaler":            horizontalpodautoscaler.Strategy,
	"HorizontalPodAutoscaler/status":     horizontalpodautoscaler.StatusStrategy,
	"CronJob":                            cronjob.Strategy,
	"Job":                                job.Strategy,
	"Job/status":                         job.StatusStrategy,
	"CertificateSigningRequest":          certificates.Strategy,
	"CertificateSigningRequest/status":   certificates.StatusStrategy,
	"CertificateSigningRequest/approval": certificates.ApprovalStrategy,
	"Lease":                              lease.Strategy,
	"ConfigMap":                          configmap.Strategy,
	"Endpoints":                          endpoint.Strategy,
	"Event":                              event.Strategy,
	"LimitRange":                         limitrange.Strategy,
	"Namespace":                          namespace.Strategy,
	"Node":                               node.Strategy,
	"Node/status":                        node.StatusStrategy,
	"PersistentVolume":                   persistentvolume.Strategy,
	"PersistentVolume/status":            persistentvolume.StatusStrategy,
	"PersistentVolumeClaim":              persistentvolumeclaim.Strategy,
	"PersistentVolumeClaim/status":       persistentvolumeclaim.StatusStrategy,
	"Pod":                                pod.Strategy,
	"Pod/status":                         pod.StatusStrategy,
	"Pod/ephemeralcontainers":            pod.EphemeralContainersStrategy,
	"Pod/resize":                         pod.ResizeStrategy,
	"PodTemplate":                        podtemplate.Strategy,
	"ReplicationController":              replicationcontroller.Strategy,
	"ReplicationController/status":       replicationcontroller.StatusStrategy,
	"ResourceQuota":                      resourcequota.Strategy,
	"ResourceQuota/status":               resourcequota.StatusStrategy,
	"Secret":                             secret.Strategy,
	"Service":                            service.Strategy,
	"Service/status":                     service.StatusStrategy,
	"ServiceAccount":                     serviceaccount.Strategy,
	"EndpointSlice":                      endpointslice.Strategy,
	"FlowSchema":                         flowschema.Strategy,
	"PriorityLevelConfiguration":         prioritylevelconfiguration.Strategy,
	"Ingress":                            ingress.Strategy,
	"Ingress/status":                     ingress.StatusStrategy,
	"IngressClass":                       ingressclass.Strategy,
	"IPAddress":                          ipaddress.Strategy,
	"NetworkPolicy":                      networkpolicy.Strategy,
	"ServiceCIDR":                        servicecidr.Strategy,
	"RuntimeClass":                       runtimeclass.Strategy,
	"PodDisruptionBudget":                poddisruptionbudget.Strategy,
	"PodDisruptionBudget/status":         poddisruptionbudget.StatusStrategy,
	"ClusterRole":                        clusterrole.Strategy,
	"ClusterRoleBinding":                 clusterrolebinding.Strategy,
	"Role":                               role.Strategy,
	"RoleBinding":                        rolebinding.Strategy,
	"DeviceClass":                        deviceclass.Strategy,
	"ResourceClaim":                      claims,
	"ResourceClaim/status":               resourceclaim.NewStatusStrategy(claims),
	"ResourceClaimTemplate":              resourceclaimtemplate.NewStrategy(nil),
	"ResourceSlice":                      resourceslice.Strategy,
	"PriorityClass":                      priorityclass.Strategy,
	"CSIDriver":                          csidriver.Strategy,
	"CSINode":                            csinode.Strategy,
	"CSIStorageCapacity":                 csistoragecapacity.Strategy,
	"StorageClass":                       storageclass.Strategy,
	"VolumeAttachment":                   volumeattachment.Strategy,
	"VolumeAttachment/status":            volumeattachment.StatusStrategy,
	"VolumeAttributesClass":              volumeattributesclass.Strategy,
	"CustomResourceDefinition":           crdregistry.NewStrategy(crdserver.Scheme),
	"CustomResourceDefinition/status":    crdregistry.NewStatusStrategy(crdserver.Scheme),
	"APIService":                         apiservice.NewStrategy(aggscheme.Scheme),
}

type input struct {
	Id          string          `json:"id,omitempty"`
	Object      json.RawMessage `json:"object"`
	Old         json.RawMessage `json:"old,omitempty"`
	Subresource string          `json:"subresource,omitempty"`
	Table       bool            `json:"table,omitempty"`
}

type output struct {
	Id     string          `json:"id,omitempty"`
	Error  string          `json:"error,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
	Causes []string        `json:"causes"`
	Head   []string        `json:"head,omitempty"`
	Row    []interface{}   `json:"row,omitempty"`
}

func factory(gv schema.GroupVersion) (*runtime.Scheme, serializer.CodecFactory) {
	switch gv.Group {
	case "apiextensions.k8s.io":
		return crdserver.Scheme, crdserver.Codecs
	case "apiregistration.k8s.io":
		return aggscheme.Scheme, aggscheme.Codecs
	}
	return legacyscheme.Scheme, legacyscheme.Codecs
}

func decode(raw json.RawMessage) (runtime.Object, schema.GroupVersionKind, error) {
	var meta metav1.TypeMeta
	if err := json.Unmarshal(raw, &meta); err != nil {
		return nil, schema.GroupVersionKind{}, err
	}
	gvk := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
	_, codecs := factory(gvk.GroupVersion())
	internal := schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal}
	object, _, err := codecs.UniversalDecoder(internal).Decode(raw, nil, nil)
	if gvk.Group == "events.k8s.io" {
		object, _, err = codecs.UniversalDecoder().Decode(raw, nil, nil)
	}
	return object, gvk, err
}

func words(errs field.ErrorList) []string {
	list := []string{}
	for _, err := range errs {
		list = append(list, err.Field+": "+err.ErrorBody())
	}
	return list
}

var generator = printers.NewTableGenerator().With(printersinternal.AddHandlers)

func table(object runtime.Object, out *output) {
	result, err := generator.GenerateTable(object, printers.GenerateOptions{Wide: true})
	if err != nil {
		out.Head = []string{err.Error()}
		return
	}
	for _, column := range result.ColumnDefinitions {
		head := fmt.Sprintf("%s %s %s %d", column.Name, column.Type, column.Format, column.Priority)
		out.Head = append(out.Head, head)
	}
	if len(result.Rows) > 0 {
		out.Row = result.Rows[0].Cells
	}
}

func judge(in input) (out output) {
	out.Id = in.Id
	out.Causes = []string{}
	defer func() {
		if r := recover(); r != nil {
			out.Error = strings.Split(fmt.Sprintf("panic: %v", r), "\n")[0]
		}
	}()
	object, gvk, err := decode(in.Object)
	if err != nil {
		out.Error = err.Error()
		return
	}
	if in.Table {
		table(object, &out)
		return
	}
	key := gvk.Kind
	if in.Subresource != "" {
		key += "/" + in.Subresource
	}
	made, ok := strategies[key]
	if !ok {
		out.Error = "no strategy " + key
		return
	}
	info := &request.RequestInfo{
		IsResourceRequest: true,
		APIGroup:          gvk.Group,
		APIVersion:        gvk.Version,
		Resource:          strings.ToLower(gvk.Kind) + "s",
		Subresource:       in.Subresource,
		Verb:              "create",
	}
	ctx := request.WithUser(context.Background(), &user.DefaultInfo{Name: "tester"})
	ctx = request.WithRequestInfo(ctx, info)
	ctx = request.WithNamespace(ctx, "x")
	if in.Old == nil {
		create := made.(rest.RESTCreateStrategy)
		create.PrepareForCreate(ctx, object)
		out.Causes = words(create.Validate(ctx, object))
		create.Canonicalize(object)
	} else {
		info.Verb = "update"
		old, _, err := decode(in.Old)
		if err != nil {
			out.Error = err.Error()
			return
		}
		made.PrepareForUpdate(ctx, object, old)
		out.Causes = words(made.ValidateUpdate(ctx, object, old))
		made.Canonicalize(object)
	}
	_, codecs := factory(gvk.GroupVersion())
	text, err := runtime.Encode(codecs.LegacyCodec(gvk.GroupVersion()), object)
	if err != nil {
		out.Error = err.Error()
		return
	}
	// As it is read back: stored, decoded with defaults, encoded.
	again, _, err := decode(text)
	if err == nil {
		if more, err := runtime.Encode(codecs.LegacyCodec(gvk.GroupVersion()), again); err == nil {
			text = more
		}
	}
	out.Object = json.RawMessage(strings.TrimSpace(string(text)))
	return
}

func main() {
	capabilities.Setup(true, 0)
	if gates := os.Getenv("GATES"); gates != "" {
		if err := utilfeature.DefaultMutableFeatureGate.Set(gates); err != nil {
			panic(err)
		}
	}
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(make([]byte, 1<<26), 1<<26)
	writer := bufio.NewWriter(os.Stdout)
	defer writer.Flush()
	for scanner.Scan() {
		var in input
		if err := json.Unmarshal(scanner.Bytes(), &in); err != nil {
			panic(err)
		}
		line, err := json.Marshal(judge(in))
		if err != nil {
			panic(err)
		}
		writer.Write(line)
		writer.WriteByte('\n')
	}
}
