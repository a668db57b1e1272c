package suites

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/util/retry"
)

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	replicas := int32(0)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
			},
		},
	}
}

// Every verb of a typed client, in both encodings.
func TestTyped(t *testing.T) {
	for _, contentType := range []string{"application/json", protobuf} {
		t.Run(contentType, func(t *testing.T) {
			client, ns, ctx := typed(t, contentType), namespace(t), within(t, 20*time.Second)
			maps := client.CoreV1().ConfigMaps(ns)
			made, err := maps.Create(ctx, configMap("a"), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if made.UID == "" || made.ResourceVersion == "" || made.Data["k"] != "a" {
				t.Fatalf("created %+v", made)
			}
			if _, err = maps.Create(ctx, configMap("a"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Fatalf("a second one: %v", err)
			}
			made.Data["k"] = "b"
			changed, err := maps.Update(ctx, made, metav1.UpdateOptions{})
			if err != nil || changed.Data["k"] != "b" {
				t.Fatalf("updated %+v: %v", changed, err)
			}
			if _, err = maps.Update(ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.Fatalf("a stale update: %v", err)
			}
			for kind, patch := range map[types.PatchType]string{
				types.MergePatchType:          `{"data":{"merge":"1"}}`,
				types.StrategicMergePatchType: `{"data":{"strategic":"1"}}`,
				types.JSONPatchType:           `[{"op":"add","path":"/data/json","value":"1"}]`,
			} {
				if _, err = maps.Patch(ctx, "a", kind, []byte(patch), metav1.PatchOptions{}); err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
			}
			got, err := maps.Get(ctx, "a", metav1.GetOptions{})
			if err != nil || len(got.Data) != 4 {
				t.Fatalf("got %+v: %v", got, err)
			}
			list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "suite=go"})
			if err != nil || len(list.Items) != 1 {
				t.Fatalf("listed %+v: %v", list, err)
			}
			if err = maps.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err = maps.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Fatalf("after its deletion: %v", err)
			}
			fill(t, client, ns, 3)
			err = maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "suite=go"})
			if err != nil {
				t.Fatal(err)
			}
			if list, err = maps.List(ctx, metav1.ListOptions{LabelSelector: "suite=go"}); err != nil || len(list.Items) != 0 {
				t.Fatalf("left %d: %v", len(list.Items), err)
			}
		})
	}
}

// What is refused comes as errors that client-go tells apart, with the field.
func TestRefusals(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 20*time.Second)
	bad := deployment("bad")
	bad.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
	_, err := client.AppsV1().Deployments(ns).Create(ctx, bad, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) {
		t.Fatalf("a wrong selector: %v", err)
	}
	cause, found := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid)
	if !found || cause.Field != "spec.template.metadata.labels" {
		t.Fatalf("cause %+v", cause)
	}
	strict := metav1.PatchOptions{FieldValidation: "Strict"}
	_, err = client.CoreV1().ConfigMaps(ns).Create(ctx, configMap("strict"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CoreV1().ConfigMaps(ns).Patch(ctx, "strict", types.MergePatchType, []byte(`{"nothing":1}`), strict)
	if err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Fatalf("an unknown field: %v", err)
	}
	dry, err := client.CoreV1().ConfigMaps(ns).Create(ctx, configMap("dry"), metav1.CreateOptions{DryRun: []string{"All"}})
	if err != nil || dry.UID == "" {
		t.Fatalf("dry run: %+v %v", dry, err)
	}
	if _, err = client.CoreV1().ConfigMaps(ns).Get(ctx, "dry", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("a dry run left something: %v", err)
	}
	uid := types.UID("00000000-0000-4000-8000-000000000000")
	err = client.CoreV1().ConfigMaps(ns).Delete(ctx, "strict", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if !apierrors.IsConflict(err) {
		t.Fatalf("another uid: %v", err)
	}
}

// RetryOnConflict ends with every change in.
func TestConcurrentUpdates(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 30*time.Second)
	maps := client.CoreV1().ConfigMaps(ns)
	if _, err := maps.Create(ctx, configMap("shared"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const writers = 8
	failed := make(chan error, writers)
	for i := range writers {
		go func() {
			failed <- retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				for {
					live, err := maps.Get(ctx, "shared", metav1.GetOptions{})
					if err != nil {
						return err
					}
					live.Data[string(rune('a'+i))] = "x"
					_, err = maps.Update(ctx, live, metav1.UpdateOptions{})
					if !apierrors.IsConflict(err) {
						return err
					}
				}
			})
		}()
	}
	for range writers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	last, err := maps.Get(ctx, "shared", metav1.GetOptions{})
	if err != nil || len(last.Data) != writers+1 {
		t.Fatalf("%d keys: %v", len(last.Data), err)
	}
}

// Server-side apply: ownership, a conflict that names the other, force, and letting go.
func TestServerSideApply(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 20*time.Second)
	web := func(replicas int32) *appsapply.DeploymentApplyConfiguration {
		labels := map[string]string{"app": "web"}
		return appsapply.Deployment("web", ns).WithSpec(appsapply.DeploymentSpec().
			WithReplicas(replicas).
			WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).
				WithSpec(coreapply.PodSpec().WithContainers(coreapply.Container().WithName("web").WithImage("web:1")))))
	}
	apps := client.AppsV1().Deployments(ns)
	if _, err := apps.Apply(ctx, web(0), metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		t.Fatal(err)
	}
	only := appsapply.Deployment("web", ns).WithSpec(appsapply.DeploymentSpec().WithPaused(true).WithReplicas(3))
	_, err := apps.Apply(ctx, only, metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "one"`) {
		t.Fatalf("a conflict: %v", err)
	}
	cause, found := apierrors.StatusCause(err, metav1.CauseTypeFieldManagerConflict)
	if !found || cause.Field != ".spec.replicas" {
		t.Fatalf("cause %+v", cause)
	}
	forced, err := apps.Apply(ctx, only, metav1.ApplyOptions{FieldManager: "two", Force: true})
	if err != nil || *forced.Spec.Replicas != 3 {
		t.Fatalf("forced: %+v %v", forced, err)
	}
	owned, err := appsapply.ExtractDeployment(forced, "two")
	if err != nil || owned.Spec.Replicas == nil || owned.Spec.Template != nil {
		t.Fatalf("owned by two: %+v %v", owned, err)
	}
	left, err := apps.Apply(ctx, appsapply.Deployment("web", ns), metav1.ApplyOptions{FieldManager: "two"})
	if err != nil || left.Spec.Paused || *left.Spec.Replicas != 1 {
		t.Fatalf("let go: %+v %v", left.Spec, err)
	}
}

// A budget that allows nothing answers 429; client-go tells it, and does not take it for a failure.
func TestEvictionIsRefusedFor429(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 30*time.Second)
	eventually(t, "the account of the namespace", accountOf(client, ns))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "kept", Labels: map[string]string{"app": "kept"}},
		// On no node: there nobody says that it is not running after all.
		Spec: corev1.PodSpec{SchedulerName: "none", Containers: []corev1.Container{{Name: "a", Image: "none.test/a"}}},
	}
	if _, err := client.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// Only running pods count.
	running := []byte(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
	if _, err := client.CoreV1().Pods(ns).Patch(ctx, "kept", types.MergePatchType, running, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: intOrString(1),
			Selector:     &metav1.LabelSelector{MatchLabels: map[string]string{"app": "kept"}},
		},
	}
	if _, err := client.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, budget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the budget is counted", func(ctx context.Context) (bool, error) {
		found, err := client.PolicyV1().PodDisruptionBudgets(ns).Get(ctx, "none", metav1.GetOptions{})
		return err == nil && found.Status.ObservedGeneration == found.Generation, err
	})
	err := client.CoreV1().Pods(ns).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: ns}})
	if !apierrors.IsTooManyRequests(err) {
		t.Fatalf("eviction: %v", err)
	}
}
