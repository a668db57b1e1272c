//go:build ignore

// Answers what Kubernetes warns of, one new object in JSON a line: see warnings.record.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/persistentvolume"
	"k8s.io/kubernetes/pkg/api/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/api/service"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/discovery"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	"k8s.io/kubernetes/pkg/apis/node"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	"k8s.io/kubernetes/pkg/apis/storage"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/node/runtimeclass"
	"k8s.io/kubernetes/pkg/registry/storage/csistoragecapacity"
	"k8s.io/kubernetes/pkg/registry/storage/storageclass"
)

var strategies = map[string]rest.RESTCreateStrategy{
	fmt.Sprintf("%T", &apps.DaemonSet{}):             daemonset.Strategy,
	fmt.Sprintf("%T", &apps.Deployment{}):            deployment.Strategy,
	fmt.Sprintf("%T", &apps.ReplicaSet{}):            replicaset.Strategy,
	fmt.Sprintf("%T", &apps.StatefulSet{}):           statefulset.Strategy,
	fmt.Sprintf("%T", &batch.CronJob{}):              cronjob.Strategy,
	fmt.Sprintf("%T", &batch.Job{}):                  job.Strategy,
	fmt.Sprintf("%T", &core.PodTemplate{}):           podtemplate.Strategy,
	fmt.Sprintf("%T", &core.ReplicationController{}): replicationcontroller.Strategy,
	fmt.Sprintf("%T", &core.Secret{}):                secret.Strategy,
	fmt.Sprintf("%T", &core.ServiceAccount{}):        serviceaccount.Strategy,
	fmt.Sprintf("%T", &discovery.EndpointSlice{}):    endpointslice.Strategy,
	fmt.Sprintf("%T", &networking.Ingress{}):         ingress.Strategy,
	fmt.Sprintf("%T", &networking.NetworkPolicy{}):   networkpolicy.Strategy,
	fmt.Sprintf("%T", &node.RuntimeClass{}):          runtimeclass.Strategy,
	fmt.Sprintf("%T", &storage.CSIStorageCapacity{}): csistoragecapacity.Strategy,
	fmt.Sprintf("%T", &storage.StorageClass{}):       storageclass.Strategy,
}

func warningsOf(object runtime.Object) []string {
	ctx := context.Background()
	switch given := object.(type) {
	case *core.Pod:
		var warnings []string
		if problems := validation.IsDNS1123Label(given.Name); len(problems) != 0 {
			warnings = append(warnings, fmt.Sprintf(
				"metadata.name: this is used in the Pod's hostname, which can result in "+
					"surprising behavior; a DNS label is recommended: %v", problems))
		}
		return append(warnings, pod.GetWarningsForPod(ctx, given, nil)...)
	case *core.Service:
		return service.GetWarningsForService(given, nil)
	case *core.PersistentVolume:
		return persistentvolume.GetWarningsForPersistentVolume(given)
	case *core.PersistentVolumeClaim:
		return persistentvolumeclaim.GetWarningsForPersistentVolumeClaim(given)
	}
	strategy, ok := strategies[fmt.Sprintf("%T", object)]
	if !ok {
		panic(fmt.Sprintf("no strategy for %T", object))
	}
	return strategy.WarningsOnCreate(ctx, object)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	decoder := legacyscheme.Codecs.UniversalDecoder()
	for in.Scan() {
		object, err := runtime.Decode(decoder, in.Bytes())
		if err != nil {
			panic(err)
		}
		warnings := warningsOf(object)
		if warnings == nil {
			warnings = []string{}
		}
		text, _ := json.Marshal(warnings)
		fmt.Println(string(text))
	}
}
