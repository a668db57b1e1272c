package suites

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/flowcontrol"
)

func intOrString(value int) *intstr.IntOrString {
	found := intstr.FromInt32(int32(value))
	return &found
}

// accountOf says whether pods may be made in the namespace yet.
func accountOf(client kubernetes.Interface, ns string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(ns).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	}
}

// An informer lists by watching, follows, and finds everything again when its watches are cut.
func TestInformer(t *testing.T) {
	for _, contentType := range []string{"application/json", protobuf} {
		t.Run(contentType, func(t *testing.T) {
			client, ns := typed(t, contentType), namespace(t)
			fill(t, client, ns, 20)
			factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(ns))
			maps := factory.Core().V1().ConfigMaps()
			var added, updated, deleted atomic.Int32
			_, err := maps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
				AddFunc:    func(any) { added.Add(1) },
				UpdateFunc: func(any, any) { updated.Add(1) },
				DeleteFunc: func(any) { deleted.Add(1) },
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx := within(t, 30*time.Second)
			factory.Start(ctx.Done())
			if !cache.WaitForCacheSync(ctx.Done(), maps.Informer().HasSynced) {
				t.Fatal("the informer did not sync")
			}
			eventually(t, "twenty are told", func(context.Context) (bool, error) { return added.Load() >= 20, nil })
			live, err := maps.Lister().ConfigMaps(ns).Get("cm-005")
			if err != nil {
				t.Fatal(err)
			}
			changed := live.DeepCopy()
			changed.Data["k"] = "changed"
			if _, err = client.CoreV1().ConfigMaps(ns).Update(ctx, changed, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if err = client.CoreV1().ConfigMaps(ns).Delete(ctx, "cm-006", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the update and the deletion are told", func(context.Context) (bool, error) {
				return updated.Load() >= 1 && deleted.Load() >= 1, nil
			})
		})
	}
}

// The list comes as events, and a bookmark says that it was all (KEP-3157).
func TestWatchList(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 20*time.Second)
	fill(t, client, ns, 5)
	yes := true
	watcher, err := client.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{
		LabelSelector:        "suite=go",
		SendInitialEvents:    &yes,
		AllowWatchBookmarks:  true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	added := 0
	for event := range watcher.ResultChan() {
		if event.Type == watch.Added {
			added++
			continue
		}
		if event.Type != watch.Bookmark {
			t.Fatalf("%s", event.Type)
		}
		accessor, err := meta.Accessor(event.Object)
		if err != nil {
			t.Fatal(err)
		}
		if accessor.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
			continue
		}
		break
	}
	if added != 5 {
		t.Fatalf("%d before the bookmark", added)
	}
}

// A page's token and a watch's revision that nobody remembers any more are told as such.
func TestExpired(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 60*time.Second)
	maps := client.CoreV1().ConfigMaps(ns)
	fill(t, client, ns, 3)
	page, err := maps.List(ctx, metav1.ListOptions{Limit: 1, LabelSelector: "suite=go"})
	if err != nil || page.Continue == "" {
		t.Fatalf("a page: %v", err)
	}
	// The server remembers 32 MB of changes.
	large := configMap("large")
	large.Labels = nil
	if _, err = maps.Create(ctx, large, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		large.Data["k"] = fmt.Sprintf("%d%s", i, strings.Repeat("x", 900_000))
		large.ResourceVersion = ""
		if _, err = maps.Update(ctx, large, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = maps.List(ctx, metav1.ListOptions{Limit: 1, LabelSelector: "suite=go", Continue: page.Continue})
	if !apierrors.IsResourceExpired(err) {
		t.Fatalf("the next page: %v", err)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Continue == "" {
		t.Fatalf("no token to go on with: %+v", err)
	}
	rest, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "suite=go", Continue: status.Status().Continue})
	if err != nil || len(rest.Items) != 2 {
		t.Fatalf("the rest as it is now: %d %v", len(rest.Items), err)
	}
	watcher, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: page.ResourceVersion})
	if err == nil {
		event := <-watcher.ResultChan()
		watcher.Stop()
		err = apierrors.FromObject(event.Object)
	}
	if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		t.Fatalf("a watch: %v", err)
	}
}

// cut is a transport whose watches end when it is told to, as if the network went away.
type cut struct {
	next    http.RoundTripper
	watches atomic.Int32
	lists   atomic.Int32
	current atomic.Pointer[context.CancelFunc]
}

func (c *cut) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	if query.Get("watch") == "" {
		c.lists.Add(1)
		return c.next.RoundTrip(request)
	}
	if c.watches.Add(1) == 2 {
		// The second watch is told that its revision is gone.
		query.Set("resourceVersion", "1")
		query.Del("sendInitialEvents")
		query.Del("resourceVersionMatch")
		request.URL.RawQuery = query.Encode()
	}
	ctx, cancel := context.WithCancel(request.Context())
	c.current.Store(&cancel)
	return c.next.RoundTrip(request.WithContext(ctx))
}

// An informer whose watch is cut, and whose revision is gone after that, lists again by itself.
func TestInformerAfterGone(t *testing.T) {
	ns := namespace(t)
	wrapped := &cut{}
	cfg := config(t)
	cfg.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		wrapped.next = next
		return wrapped
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 30*time.Second)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(ns))
	maps := factory.Core().V1().ConfigMaps()
	informer := maps.Informer()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("the informer did not sync")
	}
	eventually(t, "a watch stands", func(context.Context) (bool, error) { return wrapped.current.Load() != nil, nil })
	(*wrapped.current.Load())()
	fill(t, typed(t, protobuf), ns, 3)
	eventually(t, "it has all of them", func(context.Context) (bool, error) {
		_, err := maps.Lister().ConfigMaps(ns).Get("cm-002")
		return err == nil, nil
	})
	if wrapped.watches.Load() < 2 {
		t.Fatal("the watch was not made anew")
	}
}

// RetryWatcher goes on where a watch ended by its timeout.
func TestWatchEndsAndGoesOn(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 30*time.Second)
	maps := client.CoreV1().ConfigMaps(ns)
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second := int64(1)
	started := time.Now()
	watcher, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, TimeoutSeconds: &second})
	if err != nil {
		t.Fatal(err)
	}
	for range watcher.ResultChan() {
	}
	if took := time.Since(started); took < 900*time.Millisecond || took > 30*time.Second {
		t.Fatalf("a watch of a second took %v", took)
	}
	retrying, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.TimeoutSeconds = &second
			return maps.Watch(ctx, options)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer retrying.Stop()
	go func() {
		time.Sleep(1500 * time.Millisecond)
		_, _ = maps.Create(ctx, configMap("late"), metav1.CreateOptions{})
	}()
	for event := range retrying.ResultChan() {
		found, ok := event.Object.(*corev1.ConfigMap)
		if ok && found.Name == "late" {
			return
		}
	}
	t.Fatal("the watcher ended")
}

// Pages of one list agree although objects come and go; the pager puts them together.
func TestPages(t *testing.T) {
	client, ns, ctx := typed(t, protobuf), namespace(t), within(t, 30*time.Second)
	fill(t, client, ns, 25)
	maps := client.CoreV1().ConfigMaps(ns)
	first, err := maps.List(ctx, metav1.ListOptions{Limit: 10, LabelSelector: "suite=go"})
	if err != nil || len(first.Items) != 10 || first.Continue == "" {
		t.Fatalf("a page of %d: %v", len(first.Items), err)
	}
	for i := range 10 {
		if err := maps.Delete(ctx, fmt.Sprintf("cm-%03d", 14+i), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "suite=go", Continue: first.Continue})
	if err != nil || len(rest.Items) != 15 || rest.ResourceVersion != first.ResourceVersion {
		t.Fatalf("the rest are %d at %s, not 15 at %s: %v", len(rest.Items), rest.ResourceVersion, first.ResourceVersion, err)
	}
	count := 0
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (result runtimeObject, err error) {
		return maps.List(ctx, options)
	}))
	pages.PageSize = 4
	err = pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: "suite=go"}, func(runtimeObject) error {
		count++
		return nil
	})
	if err != nil || count != 15 {
		t.Fatalf("the pager saw %d: %v", count, err)
	}
	_, err = maps.List(ctx, metav1.ListOptions{Limit: 10, Continue: "x"})
	if !apierrors.IsBadRequest(err) {
		t.Fatalf("a token that is none: %v", err)
	}
}

// Two candidates for one Lease: one leads; when it lets go, the other does.
func TestLeaderElection(t *testing.T) {
	client, ns := typed(t, protobuf), namespace(t)
	leads := make(chan string, 8)
	run := func(name string) context.CancelFunc {
		ctx, cancel := context.WithCancel(within(t, 30*time.Second))
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "leader", Namespace: ns},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		go leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock:            lock,
			ReleaseOnCancel: true,
			LeaseDuration:   30 * time.Second,
			RenewDeadline:   20 * time.Second,
			RetryPeriod:     200 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads <- name },
				OnStoppedLeading: func() {},
			},
		})
		return cancel
	}
	next := func() string {
		select {
		case name := <-leads:
			return name
		case <-time.After(patience * 15 * time.Second):
			t.Fatal("nobody leads")
			return ""
		}
	}
	stops := map[string]context.CancelFunc{"a": run("a"), "b": run("b")}
	first := next()
	select {
	case second := <-leads:
		t.Fatalf("%s leads beside %s", second, first)
	case <-time.After(500 * time.Millisecond):
	}
	stops[first]()
	if second := next(); second == first {
		t.Fatalf("%s leads again", second)
	}
	for _, stop := range stops {
		stop()
	}
}

// busy answers the first requests with 429 before they reach the server.
type busy struct {
	next http.RoundTripper
	left atomic.Int32
}

func (b *busy) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.left.Add(-1) < 0 {
		return b.next.RoundTrip(request)
	}
	header := http.Header{"Retry-After": {"1"}, "Content-Type": {"application/json"}}
	return &http.Response{StatusCode: 429, Header: header, Body: http.NoBody, Request: request, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// client-go waits as long as Retry-After says and asks again.
func TestRetryAfter(t *testing.T) {
	ctx := within(t, 20*time.Second)
	wrapped := &busy{}
	wrapped.left.Store(2)
	cfg := rest.CopyConfig(config(t))
	cfg.RateLimiter = flowcontrol.NewFakeAlwaysRateLimiter()
	cfg.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		wrapped.next = next
		return wrapped
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if _, err := client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < 2*time.Second {
		t.Fatalf("it waited %v", took)
	}
}
