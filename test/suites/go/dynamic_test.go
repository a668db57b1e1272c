package suites

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/jsonpath"
)

type runtimeObject = runtime.Object

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
var cats = schema.GroupVersionResource{Group: "suite.example.com", Version: "v1", Resource: "cats"}

func definition() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": "cats.suite.example.com"},
		"spec": map[string]any{
			"group": cats.Group,
			"scope": "Namespaced",
			"names": map[string]any{"kind": "Cat", "plural": "cats", "shortNames": []any{"kitty"}},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"subresources": map[string]any{
					"status": map[string]any{},
					"scale":  map[string]any{"specReplicasPath": ".spec.lives", "statusReplicasPath": ".status.lives"},
				},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object",
					"properties": map[string]any{
						"spec": map[string]any{
							"type": "object",
							"properties": map[string]any{
								"lives": map[string]any{"type": "integer", "default": int64(9), "minimum": int64(0)},
							},
						},
						"status": map[string]any{
							"type":       "object",
							"properties": map[string]any{"lives": map[string]any{"type": "integer"}},
						},
					},
				}},
			}},
		},
	}}
}

// A definition, its objects by the dynamic client, its mapping by discovery, its scale and its metadata.
func TestCustomResources(t *testing.T) {
	ns, ctx := namespace(t), within(t, 40*time.Second)
	client, err := dynamic.NewForConfig(config(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = client.Resource(definitions).Create(ctx, definition(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		last, cancel := context.WithTimeout(context.Background(), patience*10*time.Second)
		defer cancel()
		_ = client.Resource(definitions).Delete(last, "cats.suite.example.com", metav1.DeleteOptions{})
	})
	eventually(t, "the definition is established", func(ctx context.Context) (bool, error) {
		found, err := client.Resource(definitions).Get(ctx, "cats.suite.example.com", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return conditionOf(t, found, "Established") == "True", nil
	})
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, ns, nil)
	informer := factory.ForResource(cats)
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		t.Fatal("the informer of a custom resource did not sync")
	}
	tom := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "suite.example.com/v1", "kind": "Cat", "metadata": map[string]any{"name": "tom"}, "spec": map[string]any{},
	}}
	made, err := client.Resource(cats).Namespace(ns).Create(ctx, tom, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if lives, _, _ := unstructured.NestedInt64(made.Object, "spec", "lives"); lives != 9 {
		t.Fatalf("it has %d lives", lives)
	}
	eventually(t, "the informer has it", func(context.Context) (bool, error) {
		_, err := informer.Lister().ByNamespace(ns).Get("tom")
		return err == nil, nil
	})
	mapping := mapperFor(t, schema.GroupKind{Group: cats.Group, Kind: "Cat"})
	if mapping.Resource != cats || mapping.Scope.Name() != "namespace" {
		t.Fatalf("mapped to %+v", mapping)
	}
	scales(t, ctx, ns)
	partial, err := metadata.NewForConfig(config(t))
	if err != nil {
		t.Fatal(err)
	}
	list, err := partial.Resource(cats).Namespace(ns).List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "tom" {
		t.Fatalf("metadata %+v: %v", list, err)
	}
	patched, err := partial.Resource(cats).Namespace(ns).Patch(ctx, "tom", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Labels["a"] != "b" {
		t.Fatalf("patched %+v: %v", patched, err)
	}
}

func conditionOf(t *testing.T, object *unstructured.Unstructured, kind string) string {
	t.Helper()
	path := jsonpath.New("condition")
	if err := path.Parse(`{.status.conditions[?(@.type=="` + kind + `")].status}`); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := path.AllowMissingKeys(true).Execute(&out, object.Object); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func mapperFor(t *testing.T, kind schema.GroupKind) *meta.RESTMapping {
	t.Helper()
	found, err := discovery.NewDiscoveryClientForConfig(config(t))
	if err != nil {
		t.Fatal(err)
	}
	var mapping *meta.RESTMapping
	eventually(t, "discovery knows "+kind.Kind, func(context.Context) (bool, error) {
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
		mapping, err = mapper.RESTMapping(kind)
		return err == nil, nil
	})
	return mapping
}

func scales(t *testing.T, ctx context.Context, ns string) {
	t.Helper()
	found, err := discovery.NewDiscoveryClientForConfig(config(t))
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	client, err := scale.NewForConfig(config(t), mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(found))
	if err != nil {
		t.Fatal(err)
	}
	live, err := client.Scales(ns).Get(ctx, cats.GroupResource(), "tom", metav1.GetOptions{})
	if err != nil || live.Spec.Replicas != 9 {
		t.Fatalf("scale %+v: %v", live, err)
	}
	live.Spec.Replicas = 7
	if live, err = client.Scales(ns).Update(ctx, cats.GroupResource(), live, metav1.UpdateOptions{}); err != nil || live.Spec.Replicas != 7 {
		t.Fatalf("scaled %+v: %v", live, err)
	}
	web := deployment("web")
	if _, err = typed(t, protobuf).AppsV1().Deployments(ns).Create(ctx, web, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	apps := schema.GroupResource{Group: "apps", Resource: "deployments"}
	built, err := client.Scales(ns).Get(ctx, apps, "web", metav1.GetOptions{})
	if err != nil || built.Status.Selector != "app=web" {
		t.Fatalf("scale of a deployment %+v: %v", built, err)
	}
}

// Every group, every resource, its verbs; the aggregated form and the old one say the same.
func TestDiscovery(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(config(t))
	if err != nil {
		t.Fatal(err)
	}
	count := func(c *discovery.DiscoveryClient) map[string]string {
		_, lists, err := c.ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, list := range lists {
			// Another test's definition is on its way out.
			if strings.HasPrefix(list.GroupVersion, cats.Group) {
				continue
			}
			for _, resource := range list.APIResources {
				found[list.GroupVersion+"/"+resource.Name] = resource.Kind + " " + strings.Join(resource.Verbs, ",")
			}
		}
		return found
	}
	aggregated := count(client)
	legacy := *client
	legacy.UseLegacyDiscovery = true
	old := count(&legacy)
	if len(aggregated) < 100 || len(aggregated) != len(old) {
		t.Fatalf("%d resources, and %d the old way", len(aggregated), len(old))
	}
	for name, what := range aggregated {
		if old[name] != what {
			t.Errorf("%s: %s, and the old way %s", name, what, old[name])
		}
	}
	version, err := client.ServerVersion()
	if err != nil || version.Minor != "34" {
		t.Fatalf("version %+v: %v", version, err)
	}
	document, err := client.OpenAPISchema()
	if err != nil || len(document.GetDefinitions().GetAdditionalProperties()) < 500 {
		t.Fatalf("OpenAPI v2: %v", err)
	}
	paths, err := client.OpenAPIV3().Paths()
	if err != nil || paths["apis/apps/v1"] == nil {
		t.Fatalf("OpenAPI v3: %v", err)
	}
	if _, err = paths["apis/apps/v1"].Schema("application/json"); err != nil {
		t.Fatal(err)
	}
}
