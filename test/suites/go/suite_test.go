// Package suites runs client-go, as it is, against a server whose kubeconfig KUBECONFIG names.
package suites

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	corev1 "k8s.io/api/core/v1"
)

const protobuf = "application/vnd.kubernetes.protobuf"

func config(t *testing.T) *rest.Config {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("KUBECONFIG is not set")
	}
	found, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	found.QPS = -1
	return found
}

// typed is a client that speaks JSON, or protobuf as Kubernetes' own components do.
func typed(t *testing.T, contentType string) kubernetes.Interface {
	t.Helper()
	cfg := config(t)
	cfg.ContentType = contentType
	cfg.AcceptContentTypes = contentType + ",application/json"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// patience is for machines that have other work: limits are those of a quiet one.
const patience = 4

// within is a context for a whole test.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience*limit)
	t.Cleanup(cancel)
	return ctx
}

// namespace makes one of its own for a test, and takes it away again.
func namespace(t *testing.T) string {
	t.Helper()
	client := typed(t, "application/json")
	made, err := client.CoreV1().Namespaces().Create(within(t, 10*time.Second),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "suite-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience*10*time.Second)
		defer cancel()
		if err := client.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return made.Name
}

func eventually(t *testing.T, what string, check func(ctx context.Context) (bool, error)) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, patience*20*time.Second, true, check)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"suite": "go"}},
		Data:       map[string]string{"k": name},
	}
}

func fill(t *testing.T, client kubernetes.Interface, ns string, count int) {
	t.Helper()
	for i := range count {
		name := fmt.Sprintf("cm-%03d", i)
		_, err := client.CoreV1().ConfigMaps(ns).Create(within(t, 10*time.Second), configMap(name), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
}
